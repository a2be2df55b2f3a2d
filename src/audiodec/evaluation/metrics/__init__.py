"""Objective metrics on a pair of waveforms: definitions, ranges and sources in docs/metrics.md.

All take a reference and a degraded signal of the same length, float32 in [-1, 1], and the
sample rate in Hz. Codecs may be late: `align` first. `METRICS` are the quick ones that commands
show by default, `ALL_METRICS` is everything; `score` runs some of them by name.
"""

from audiodec.arrays import Samples
from audiodec.evaluation.metrics.alignment import align
from audiodec.evaluation.metrics.base import Metric, MissingPackageError
from audiodec.evaluation.metrics.intrusive import (
    estoi,
    pesq_wb,
    stoi,
    visqol_audio,
    visqol_speech,
)
from audiodec.evaluation.metrics.listeners import distill_mos, dnsmos, dnsmos_p808, plcmos
from audiodec.evaluation.metrics.pitch import f0_rmse, voicing_error
from audiodec.evaluation.metrics.registry import ALL_METRICS, METRICS, markdown_table, score
from audiodec.evaluation.metrics.speaker import speaker_similarity
from audiodec.evaluation.metrics.spectral import (
    log_spectral_distance,
    mel_cepstral_distortion,
    mel_distance,
)
from audiodec.evaluation.metrics.waveform import si_sdr, snr
from audiodec.evaluation.metrics.words import character_error_rate, word_error_rate

__all__ = [
    "ALL_METRICS",
    "METRICS",
    "Metric",
    "MissingPackageError",
    "Samples",
    "align",
    "character_error_rate",
    "distill_mos",
    "dnsmos",
    "dnsmos_p808",
    "estoi",
    "f0_rmse",
    "log_spectral_distance",
    "markdown_table",
    "mel_cepstral_distortion",
    "mel_distance",
    "pesq_wb",
    "plcmos",
    "score",
    "si_sdr",
    "snr",
    "speaker_similarity",
    "stoi",
    "visqol_audio",
    "visqol_speech",
    "voicing_error",
    "word_error_rate",
]
