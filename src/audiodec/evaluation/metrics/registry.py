"""Every metric with its range, direction and source, and scoring by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import AudioError, ConfigError
from audiodec.evaluation.metrics.base import Metric
from audiodec.evaluation.metrics.intrusive import (
    estoi,
    pesq_wb,
    stoi,
    visqol_audio,
    visqol_speech,
)
from audiodec.evaluation.metrics.listeners import distill_mos, dnsmos, dnsmos_p808, plcmos
from audiodec.evaluation.metrics.pitch import f0_rmse, voicing_error
from audiodec.evaluation.metrics.speaker import speaker_similarity
from audiodec.evaluation.metrics.spectral import (
    log_spectral_distance,
    mel_cepstral_distortion,
    mel_distance,
)
from audiodec.evaluation.metrics.waveform import si_sdr, snr
from audiodec.evaluation.metrics.words import character_error_rate, word_error_rate

UP, DOWN = True, False  # which way is better
OWN = "own definition, below"
# fmt: off
_DEFAULT = [
    Metric("PESQ-WB", pesq_wb, 1.0, 4.65, "MOS", UP, "ITU-T P.862.2", install="bench"),
    Metric("ESTOI", estoi, -1, 1, "", UP, "Jensen and Taal, 2016", install="bench"),
    Metric("ViSQOL-speech", visqol_speech, 1, 5, "MOS", UP, "Chinen et al., 2020", install="bench"),
    Metric("ViSQOL-audio", visqol_audio, 1, 5, "MOS", UP, "Chinen et al., 2020", install="bench"),
    Metric("mel distance", mel_distance, 0, None, "log10", DOWN, OWN),
    Metric("SNR dB", snr, None, None, "dB", UP, OWN),
]
_FURTHER = [
    Metric("STOI", stoi, -1, 1, "", UP, "Taal et al., 2011", install="bench"),
    Metric("SI-SDR", si_sdr, None, None, "dB", UP, "Le Roux et al., 2019"),
    Metric("MCD", mel_cepstral_distortion, 0, None, "dB", DOWN, "Kubichek, 1993"),
    Metric("LSD", log_spectral_distance, 0, None, "log10", DOWN, "Gray and Markel, 1976"),
    Metric("F0-RMSE", f0_rmse, 0, None, "Hz", DOWN, OWN, install="bench"),
    Metric("U/V error", voicing_error, 0, 100, "%", DOWN, "Nakatani et al., 2008", install="bench"),
    Metric("DNSMOS", dnsmos, 1, 5, "MOS", UP, "Reddy et al., 2022", False, "bench"),
    Metric("DNSMOS P.808", dnsmos_p808, 1, 5, "MOS", UP, "Reddy et al., 2021", False, "bench"),
    Metric("PLCMOS", plcmos, 1, 5, "MOS", UP, "Diener et al., 2023", False, "bench"),
    Metric("DistillMOS", distill_mos, 1, 5, "MOS", UP, "Stahl and Gamper, 2025", False, "by hand"),
    Metric("speaker similarity", speaker_similarity, 0, 1, "", UP, "Wan et al., 2018",
           install="by hand"),
    Metric("WER", word_error_rate, 0, None, "%", DOWN, OWN, install="by hand"),
    Metric("CER", character_error_rate, 0, None, "%", DOWN, OWN, install="by hand"),
]
# fmt: on

METRICS: dict[str, Metric] = {metric.name: metric for metric in _DEFAULT}
ALL_METRICS: dict[str, Metric] = METRICS | {metric.name: metric for metric in _FURTHER}


def score(
    reference: Samples, degraded: Samples, rate: int, names: Sequence[str] = tuple(METRICS)
) -> dict[str, float | None]:
    """Score by each metric's name; None where the clip is beyond a metric (e.g. no speech for
    PESQ).

    Args:
        reference: The original, float32 in [-1, 1], [samples].
        degraded: What became of it, aligned and as long.
        rate: Hz of both.
        names: Of metrics, as in docs/metrics.md.

    Raises:
        ConfigError: There is no metric of that name.
        MissingExtraError, MissingPackageError: a metric's package is not installed.
    """
    for name in names:
        if name not in ALL_METRICS:
            raise ConfigError(f"no metric {name!r}; choose from {', '.join(ALL_METRICS)}")
    scores: dict[str, float | None] = {}
    for name in names:
        try:
            value = ALL_METRICS[name](reference, degraded, rate)
        except AudioError:
            value = np.nan
        scores[name] = value if np.isfinite(value) else None
    return scores


def markdown_table() -> str:
    """Write all metrics as the table of docs/metrics.md, which a test compares with this."""
    lines = [
        "| metric | unit | range | better | compares | source | install |",
        "|---|---|---|---|---|---|---|",
    ]
    for m in ALL_METRICS.values():
        cells = (
            m.name,
            m.unit or "-",
            _range(m),
            "up" if m.higher_is_better else "down",
            "with the original" if m.needs_reference else "nothing",
            m.source,
            m.install or "-",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _range(metric: Metric) -> str:
    if metric.low is None:
        return "any"
    return f"{metric.low:g} " + ("and up" if metric.high is None else f"to {metric.high:g}")
