"""Whether it is still the same voice."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import AudioError
from audiodec.evaluation.metrics.base import MIN_CLIP_S, check_sound, need, resampled

RATE_HZ = 16000
# Its own requirement webrtcvad has no wheels and needs an old setuptools, hence --no-deps.
INSTALL = "pip install torch librosa && pip install --no-deps resemblyzer==0.1.4 webrtcvad-wheels"


def speaker_similarity(reference: Samples, degraded: Samples, rate: int) -> float:
    """Compute the cosine between speaker embeddings, 0 to 1, higher is better.

    GE2E d-vectors (Wan et al., 2018) of package resemblyzer; silence is cut out first.

    Raises:
        AudioError: one of the signals holds too little speech.
        MissingPackageError: its packages, which need `pip install --no-deps`, are not installed.
    """
    a, b = (embedding(x, rate) for x in (reference, degraded))
    return float(a @ b)


def embedding(x: Samples, rate: int) -> np.ndarray:
    """Compute the unit vector of the voice that speaks, [256], float32. Raises as
    `speaker_similarity`."""
    encoder, resemblyzer = _encoder(), need("resemblyzer", "speaker similarity", INSTALL)
    check_sound(x, rate)
    speech = resemblyzer.preprocess_wav(resampled(x, rate, RATE_HZ))
    if len(speech) < MIN_CLIP_S * RATE_HZ:
        raise AudioError("the clip holds too little speech to know a voice")
    return np.asarray(encoder.embed_utterance(speech))


@functools.cache
def _encoder() -> Any:
    return need("resemblyzer", "speaker similarity", INSTALL).VoiceEncoder("cpu", verbose=False)
