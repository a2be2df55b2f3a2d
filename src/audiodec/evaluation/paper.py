"""The paper's evaluation: its tables, with what was published beside what is measured here.

Wu et al., "AudioDec: An Open-Source Streaming High-Fidelity Neural Audio Codec", ICASSP 2023:
objective metrics and MOS on VCTK's held-out speakers at 12.8 kbps, processing time per window on
a CPU with four threads. Its times on a GPU are left out: the runtime here is for CPUs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from audiodec.errors import ConfigError
from audiodec.evaluation.latency import Window
from audiodec.evaluation.metrics import ALL_METRICS
from audiodec.evaluation.quality import Mean, Score, summarise
from audiodec.evaluation.quality.uncoded import UNCODED

# The paper's last one is DNSMOS; its 3.95 for natural speech looks like the P.808 model.
METRICS = ("F0-RMSE", "U/V error", "MCD", "LSD", "DNSMOS P.808", "DNSMOS")
OBJECTIVE: dict[str, tuple[float, ...]] = {  # by METRICS, without the last
    "SoundStream-style baseline": (12.5, 5.2, 4.42, 0.89, 3.81),
    "symAD": (11.8, 4.9, 4.36, 0.89, 3.88),
    "AD v0": (12.0, 4.9, 4.28, 0.88, 3.89),
    "AD v1": (10.7, 4.5, 4.29, 0.88, 3.89),
    "AD v2": (11.8, 5.0, 4.33, 0.89, 3.86),
}
NATURAL_DNSMOS, KBPS = 3.95, 12.8
MOS = {
    "natural": 4.27,
    "SoundStream-style baseline": 3.28,
    "symAD": 3.72,
    "AD v0": 3.90,
    "AD v1": 3.92,
    "AD v2": 3.78,
}
WINDOWS_MS = (12.5, 25, 50, 100)
WINDOWS_FRAMES = (2, 4, 8, 16)  # which are these windows at hop 300
ENCODER_MS = {"all systems": (6.8, 8.2, 9.0, 11.8)}
DECODER_MS = {
    "symAD": (6.8, 8.6, 9.4, 13.1),
    "AD v0": (28.7, 35.1, 37.6, 45.1),
    "AD v1": (18.5, 22.8, 29.4, 45.5),
    "AD v2": (9.5, 11.2, 14.1, 21.2),
}
MAX_ANALYSIS_BYTES = 1_000_000  # bytes of a listening test's analysis


class _Opinion(BaseModel):
    value: float
    t: tuple[float, float] | None


class _Heard(BaseModel):
    name: str
    mean: _Opinion


class _Analysis(BaseModel):
    method: Literal["mos"]
    systems: list[_Heard]


@dataclass(frozen=True)
class Tables:
    """What was measured here.

    Attributes:
        about: models, clips, threads: how the numbers came about.
        objective: means by codec and metric.
        mos: mean opinion scores by system, None when nobody was asked.
        windows: times by model, a row for each number of WINDOWS_FRAMES.
    """

    about: Mapping[str, Any]
    objective: Mapping[str, Mapping[str, Mean]]
    mos: Mapping[str, Mean] | None
    windows: Mapping[str, Sequence[Window]]


def make_tables(
    about: Mapping[str, Any],
    scores: Sequence[Score],
    windows: Mapping[str, Sequence[Window]],
    mos: Mapping[str, Mean] | None = None,
) -> Tables:
    """Put the measurements together.

    Args:
        scores: of METRICS; those of the uncoded recordings among them are the natural speech.
        windows: by model, from `latency.measure`.
        mos: from `read_mos`.
    """
    # `latency.measure` also times single frames, which the paper does not.
    kept = {model: rows[-len(WINDOWS_FRAMES) :] for model, rows in windows.items()}
    return Tables(about, summarise(scores), mos, kept)


def read_mos(path: Path) -> dict[str, Mean]:
    """Read mean opinion scores with 95 % intervals by Student's t, from a listening test's
    analysis.

    Raises:
        ConfigError: it is no analysis of a MOS test.
    """
    try:
        with path.open("rb") as file:
            analysis = _Analysis.model_validate_json(file.read(MAX_ANALYSIS_BYTES))
    except (OSError, ValidationError):
        raise ConfigError(
            f"{path} is not what `audiodec listen analyse TEST --json` prints for a MOS test"
        ) from None
    opinions = {system.name: system.mean for system in analysis.systems}
    return {name: Mean(o.value, *(o.t or (o.value, o.value))) for name, o in opinions.items()}


def to_json(tables: Tables) -> dict[str, Any]:
    """Give everything, published and measured, as JSON can hold it."""
    published = {
        "kbps": KBPS,
        "natural_dnsmos": NATURAL_DNSMOS,
        "objective": {k: dict(zip(METRICS, v, strict=False)) for k, v in OBJECTIVE.items()},
        "mos": MOS,
        "windows_ms": WINDOWS_MS,
        "encode_ms": ENCODER_MS,
        "decode_ms": DECODER_MS,
    }
    return {"published": published, "measured": dataclasses.asdict(tables)}


def to_markdown(tables: Tables) -> str:
    """Write the tables as a page."""
    about = [f"- {name}: {value}" for name, value in tables.about.items()]
    parts = [
        "# The paper's tables\n",
        "\n".join(about) + "\n",
        "## Objective metrics\n",
        _objective(tables.objective),
        "Measured: mean and half the 95 % bootstrap interval over speakers and clips. How the\n"
        "paper measured F0, MCD and LSD is not known here: compare within a source. Nor is which\n"
        "DNSMOS it means; its value for natural speech looks like P.808's.\n",
        "## Mean opinion scores\n",
        _mos(tables.mos),
        "## Processing time per window, ms\n",
        _times("encoder", ENCODER_MS, tables.windows),
        _times("decoder", DECODER_MS, tables.windows),
        "Measured: median.\n",
    ]
    return "\n".join(parts)


def _objective(measured: Mapping[str, Mapping[str, Mean]]) -> str:
    units = [f"{name} {ALL_METRICS[name].unit}".removesuffix(" MOS") for name in METRICS]
    natural = ["-"] * (len(METRICS) - 2) + [f"{NATURAL_DNSMOS:.2f}", "-"]
    rows = [["natural", "paper", "-", *natural]]
    for system, values in OBJECTIVE.items():
        rows.append([system, "paper", f"{KBPS}", *map(_published, METRICS, values), "-"])
    for codec, means in measured.items():
        alone = codec == UNCODED
        cells = [
            "-" if name not in means or (alone and ALL_METRICS[name].needs_reference)
            else _with_interval(means[name])
            for name in METRICS
        ]  # fmt: skip
        kbps = "-" if alone else f"{means['kbps'].value:.2f}"
        rows.append(["natural" if alone else codec, "here", kbps, *cells])
    return _table(["system", "source", "kbps", *units], rows)


def _mos(measured: Mapping[str, Mean] | None) -> str:
    rows = [[system, "paper", f"{value:.2f}"] for system, value in MOS.items()]
    rows += [[system, "here", _with_interval(mean)] for system, mean in (measured or {}).items()]
    hint = "Not asked here: `audiodec listen create TEST --method mos`, then `--mos`.\n"
    return _table(["system", "source", "MOS"], rows) + ("" if measured else "\n" + hint)


def _times(
    part: Literal["encoder", "decoder"],
    published: Mapping[str, Sequence[float]],
    measured: Mapping[str, Sequence[Window]],
) -> str:
    """Write a row for each system; windows of another hop are named in it."""
    rows = [[name, "paper", *(f"{t:.1f}" for t in times)] for name, times in published.items()]
    for model, windows in measured.items():
        lengths = [w.length for w in windows]
        listed = ", ".join(f"{n:.1f}" for n in lengths)
        other = "" if lengths == list(WINDOWS_MS) else f" ({listed})"
        times = [w.encode if part == "encoder" else w.decode for w in windows]
        rows.append([model + other, "here", *(f"{t.median:.2f}" for t in times)])
    return _table([part, "source", *(f"{w:g} ms" for w in WINDOWS_MS)], rows)


def _published(metric: str, value: float) -> str:
    """With the decimals of the paper."""
    return f"{value:.1f}" if metric in ("F0-RMSE", "U/V error") else f"{value:.2f}"


def _with_interval(mean: Mean) -> str:
    return f"{mean.value:.2f} ±{mean.half:.2f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * 2 + ["---:"] * (len(header) - 2), *rows]
    return "".join(f"| {' | '.join(c.replace('|', '/') for c in line)} |\n" for line in lines)
