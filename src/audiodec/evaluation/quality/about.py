"""How scores came about: what the report says about method and versions."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import audiodec
from audiodec.audio_files.reading import describe_audio
from audiodec.evaluation.quality.clips import Clip

PACKAGES = (
    "numpy", "onnxruntime", "soxr", "av", "pesq", "pystoi", "visqol-python", "speechmos",
    "distillmos", "swift-f0", "resemblyzer", "faster-whisper", "torch",
)  # fmt: skip


def about_run(clips: Sequence[Clip]) -> dict[str, Any]:
    """Tell date, clips and versions of a run, as JSON would hold them."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "clips": len(clips),
        "seconds": round(sum(describe_audio(str(clip.path)).seconds for clip in clips), 1),
        "denoising": any(clip.noisy is not None for clip in clips),
        "versions": {"audiodec": audiodec.__version__, "Python": platform.python_version()}
        | {name: found for name in PACKAGES if (found := _version(name))},
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
