"""The paper's tables, on a small tree of real speech in VCTK's layout."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import audiodec
from audiodec.cli.main import app
from audiodec.errors import ConfigError
from audiodec.evaluation.latency import Timing, Window
from audiodec.evaluation.paper import make_tables, read_mos, to_json, to_markdown
from audiodec.evaluation.quality import Score
from tests.conftest import SPEECH


@pytest.fixture(scope="module")
def vctk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of either test speaker and one of a training speaker."""
    samples, rate = soundfile.read(SPEECH)
    folder = tmp_path_factory.mktemp("VCTK")
    for start, name in enumerate(("p225_001", "p232_001", "p232_002", "p257_001", "p257_002")):
        path = folder / "wav48_silence_trimmed" / name[:4] / f"{name}_mic1.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples[start * 4800 :], rate)
    return folder


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["bench", "paper", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_measures_the_held_out_speakers_and_goes_on(vctk: Path, tmp_path: Path) -> None:
    pytest.importorskip("speechmos")
    common = ("--vctk", str(vctk), "--threads", "1", "--windows", "10", "--out", str(tmp_path))
    page = run(*common, "--clips", "1")
    assert "clips: 2 of speakers p232, p257" in page
    assert page.strip() == (tmp_path / "paper.md").read_text().strip()
    (row,) = [line for line in page.splitlines() if re.match(r"\| AudioDec .* here ", line)]
    assert "| 12.0" in row
    assert row.count("±") == 6

    data = json.loads(run(*common, "--json"))  # two clips more, the others from the store
    assert data == json.loads((tmp_path / "paper.json").read_text())
    assert data["measured"]["about"]["clips"] == "4 of speakers p232, p257"
    natural, ours = data["measured"]["objective"].values()
    assert natural["F0-RMSE"]["value"] == natural["MCD"]["value"] == 0
    assert 0 < ours["F0-RMSE"]["value"] < 20
    assert 1 < ours["DNSMOS P.808"]["value"] < natural["DNSMOS P.808"]["value"]
    assert data["published"]["objective"]["AD v1"]["F0-RMSE"] == 10.7
    (windows,) = data["measured"]["windows"].values()
    frame = 1000 / audiodec.load().config.frame_rate
    assert [w["length"] for w in windows] == pytest.approx([frame * n for n in (2, 4, 8, 16)])


def test_a_tree_without_the_test_speakers_is_refused(vctk: Path, tmp_path: Path) -> None:
    source = vctk / "wav48_silence_trimmed" / "p225"
    (tmp_path / "wav48_silence_trimmed").mkdir()
    (tmp_path / "wav48_silence_trimmed" / "p225").symlink_to(source)
    with pytest.raises(ConfigError, match="no recordings of test speaker p232"):
        run("--vctk", str(tmp_path))


def test_published_numbers_stand_beside_measured_ones() -> None:
    values = {"F0-RMSE": 1.0, "U/V error": 2.0, "MCD": 3.0, "LSD": 0.5, "DNSMOS P.808": None}
    scores = [Score("mine 12", f"clip{n}", 12.0, 0, {**values, "DNSMOS": 3 + n}) for n in (0, 1)]
    # A single frame first, which the paper does not time; then its windows.
    rows = [_window(6.25 * 2**n, 1 + n) for n in range(5)]
    tables = make_tables({"clips": 2}, scores, {"mine": rows})
    lines = to_markdown(tables).splitlines()
    assert "| AD v1 | paper | 12.8 | 10.7 | 4.5 | 4.29 | 0.88 | 3.89 | - |" in lines
    cells = "1.00 ±0.00 | 2.00 ±0.00 | 3.00 ±0.00 | 0.50 ±0.00 | - | 3.50 ±0.50"
    assert f"| mine 12 | here | 12.00 | {cells} |" in lines
    assert "| AD v1 | paper | 18.5 | 22.8 | 29.4 | 45.5 |" in lines
    assert "| mine | here | 2.00 | 3.00 | 4.00 | 5.00 |" in lines  # encoder
    assert "| mine | here | 20.00 | 30.00 | 40.00 | 50.00 |" in lines  # decoder
    assert "| natural | paper | 4.27 |" in lines
    assert any("Not asked here" in line for line in lines)
    json.dumps(to_json(tables), allow_nan=False)


def _window(length: float, time: float) -> Window:
    encode, decode = (Timing(t, t, t) for t in (time, 10 * time))
    return Window(length, 6.25, length - 6.25, encode, decode)


def test_opinions_of_a_listening_test_are_shown(tmp_path: Path) -> None:
    analysis = pytest.importorskip("audiodec.evaluation.listening.analysis")
    statistics = pytest.importorskip("audiodec.evaluation.listening.statistics")
    mean = statistics.mean(np.array([3.0, 4.0, 5.0]))
    told = analysis.Analysis(
        "mos",
        "Test",
        4,
        ["a", "b", "c"],
        [],
        {},
        [analysis.System("mine", mean, (3, 4, 5))],
        [],
        [],
    )
    path = tmp_path / "analysis.json"
    path.write_text(json.dumps(dataclasses.asdict(told)))
    page = to_markdown(make_tables({}, [], {}, read_mos(path)))
    assert f"| mine | here | 4.00 ±{(mean.t[1] - mean.t[0]) / 2:.2f} |" in page
    assert "Not asked here" not in page
    path.write_text(json.dumps(dataclasses.asdict(dataclasses.replace(told, method="mushra"))))
    with pytest.raises(ConfigError, match="for a MOS test"):
        read_mos(path)
