"""Models of a listener who hears the degraded signal alone. The reference is not looked at.

All raise AudioError for clips below 0.4 s, and MissingExtraError or MissingPackageError when their
packages are not installed.
"""

from __future__ import annotations

import contextlib
import functools
import io
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import AudioError
from audiodec.evaluation.metrics.base import MIN_CLIP_S, need, resampled

RATE_HZ = 16000
# Its requirement torchaudio loads beside few builds of torch, hence --no-deps.
DISTILL = "pip install torch && pip install --no-deps distillmos==0.9.1 xls-r-sqa==0.1.0"


def dnsmos(reference: Samples, degraded: Samples, rate: int) -> float:
    """Estimate overall quality (OVRL) of DNSMOS P.835, 1 to 5, higher is better (Reddy et al.,
    2022)."""
    return _dnsmos(_heard(degraded, rate).tobytes())[0]


def dnsmos_p808(reference: Samples, degraded: Samples, rate: int) -> float:
    """Estimate DNSMOS P.808, 1 to 5, higher is better (Reddy et al., 2021)."""
    return _dnsmos(_heard(degraded, rate).tobytes())[1]


def plcmos(reference: Samples, degraded: Samples, rate: int) -> float:
    """Estimate PLCMOS v2, quality under packet loss, 1 to 5, higher is better (Diener et al.,
    2023)."""
    model, heard = _plcmos_model(), _heard(degraded, rate)
    with _seeded():  # it draws the raters of its simulated panel
        return float(model.get_mos(heard))


def distill_mos(reference: Samples, degraded: Samples, rate: int) -> float:
    """Estimate DistillMOS, 1 to 5, higher is better (Stahl and Gamper, 2025)."""
    torch, model = need("torch", "DistillMOS", DISTILL), _distill_model()
    with torch.inference_mode():
        return float(model(torch.from_numpy(_heard(degraded, rate))[None]))


def _heard(degraded: Samples, rate: int) -> Samples:
    if len(degraded) < MIN_CLIP_S * rate:
        raise AudioError(f"the clip is shorter than {MIN_CLIP_S:g} s")
    return np.clip(resampled(degraded, rate, RATE_HZ), -1, 1)


@functools.lru_cache(maxsize=4)
def _dnsmos(heard: bytes) -> tuple[float, float]:
    """Overall and P.808 score, kept because both are often asked of the same clip."""
    found = _dnsmos_model()(np.frombuffer(heard, np.float32), RATE_HZ, False)
    return float(found["ovrl_mos"]), float(found["p808_mos"])


@functools.cache
def _dnsmos_model() -> Any:
    module = need("speechmos.dnsmos", "DNSMOS")
    folder = Path(module.__file__).parent / "dnsmos_models"
    return module.DNSMOS(str(folder / "sig_bak_ovr.onnx"), str(folder / "model_v8.onnx"))


@functools.cache
def _plcmos_model() -> Any:
    return need("speechmos.plcmos", "PLCMOS").PLCMOS()


@functools.cache
def _distill_model() -> Any:
    before = sys.modules.get("torchaudio")
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")  # imported, never used for arrays
    try:
        module = need("distillmos", "DistillMOS", DISTILL)
    finally:
        del sys.modules["torchaudio"]
        if before is not None:
            sys.modules["torchaudio"] = before
    with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights are
        return module.ConvTransformerSQAModel().eval()


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """Make the same draws from numpy's global generator every time, and put its state back."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)
