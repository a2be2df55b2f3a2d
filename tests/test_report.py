"""The report: one page that needs nothing else, charts that tell the numbers, equal loudness."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from PIL import Image

import audiodec
from audiodec.cli.bench_report import report
from audiodec.evaluation.quality import Mean, Score, write_scores
from audiodec.evaluation.report import ClipSounds, markdown, page, read_sounds
from audiodec.evaluation.report.chart import KBPS, Axis, Curve, Point, chart

ABOUT = {
    "date": "2026-01-02", "clips": 6, "seconds": 30.0, "denoising": False,
    "versions": {"audiodec": "9.8.7"}, "machine": "Linux x86_64",
}  # fmt: skip


def make_scores() -> list[Score]:
    """Two curves, one codec that needs the whole signal, and uncoded sound; six clips."""
    settings = [
        ("ours", 3, 6.7, 0.70), ("ours", 12, 6.7, 0.91), ("Opus", 12, 26.5, 0.93),
        ("Opus", 24, 26.5, 0.97), ("offline", 6, float("inf"), 0.88), ("uncoded", 1536, 10, 1.0),
    ]  # fmt: skip
    random, scores = np.random.default_rng(0), []
    for clip in range(6):
        labels = {"speaker": f"s{clip // 2}", "language": "da" if clip < 4 else "en"}
        if clip < 4:  # of the last speaker it is not stated
            labels["gender"] = "female" if clip < 2 else "male"
        for family, kbps, latency, estoi in settings:
            value = min(1.0, estoi + random.normal(0, 0.01))
            values = {"ESTOI": value, "mel distance": 1 - value if family != "offline" else None}
            name = family if family == "uncoded" else f"{family} {kbps}"
            scores.append(
                Score(name, f"clip{clip}", kbps, 0, values, family, kbps, latency, labels)
            )
    return scores


def keep_sounds(folder: Path, speech: np.ndarray, clip: str = "clip0") -> None:
    """As `bench quality --keep` leaves them, at very different levels."""
    (folder / clip).mkdir(parents=True)
    gains = {"original": 1.0, "ours 3": 0.1, "ours 12": 0.5, "Opus 12": 0.2}
    for name, gain in gains.items():
        soundfile.write(folder / clip / f"{name}.flac", gain * speech, 48000)


class Links(HTMLParser):
    """Everything a page would fetch, and its elements by name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [v or "" for k, v in attributes if k in ("src", "href", "srcset", "poster")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_holds_every_score(
    tmp_path: Path, speech: np.ndarray
) -> None:
    keep_sounds(tmp_path, speech)
    clips = [read_sounds(tmp_path, "clip0", ["ours 3", "Opus 12", "offline 6"], audio=True)]
    html = page(make_scores(), ABOUT, clips)
    links = Links(html)
    assert all(link.startswith(("data:", "#")) for link in links.found)
    assert not re.search(r"https?://|@import|url\(", html)
    for words in ("9.8.7", "3 speakers", "2 languages", "whole signal", "By language", "12.00"):
        assert words in links.text
    assert "By gender" in links.text
    assert "2 genders" not in links.text  # there may be more among those not stated
    assert links.tags.count("audio") == 0  # played by the Web Audio API
    assert len(re.findall(r'data-audio="data:audio/flac', html)) == 3  # none of what is not kept
    assert len(page(make_scores(), ABOUT, [])) < 150_000  # small enough to check in


def test_names_cannot_break_the_page() -> None:
    evil = '"><script>alert(1)</script>'
    scores = [
        Score(evil, evil, 6.0, 0, {evil: 0.5}, evil, 6.0, 5.0, {"speaker": evil}),
        Score(evil, "b", 6.0, 0, {evil: 0.6}, evil, 6.0, 5.0, {"speaker": "b"}),
    ]
    clips = [ClipSounds(evil, 1.0, [])]
    with pytest.raises(Exception, match="no element 0"):
        page(scores, ABOUT, clips)  # a clip has a version at least: its original
    assert Links(page(scores, ABOUT | {"machine": evil}, [])).tags.count("script") == 1


def test_marks_stand_where_the_numbers_are() -> None:
    means = [Mean(1.0, 0.5, 1.5), Mean(2.0, 1.8, 2.2), Mean(4.0, 4.0, 4.0)]
    points = [Point(x, mean, f"tip {x}") for x, mean in zip((3, 6, 24), means, strict=True)]
    level = Curve(1, "as it came", [Point(999, Mean(4.5, 4.5, 4.5), "")], level=True)
    svg = ElementTree.fromstring(chart([Curve(0, "a", points), level], KBPS, "a < b"))
    places = [
        tuple(map(float, re.findall(r"[\d.]+", dot.attrib["transform"])))
        for dot in svg.iter("g") if dot.get("class") == "dot"
    ]  # fmt: skip
    (x1, y1), (x2, y2), (x3, y3) = places
    assert (x3 - x2) / (x2 - x1) == pytest.approx(2, rel=0.01)  # octaves: 3 to 6, 6 to 24
    assert (y2 - y3) / (y1 - y2) == pytest.approx(2, rel=0.01)
    bars = [e.attrib["d"] for e in svg.iter("path") if e.get("class") == "bar"]
    top, bottom = (float(v) for v in re.search(r"M[\d.]+ ([\d.]+)V([\d.]+)", bars[0]).groups())  # type: ignore[union-attr]
    assert (bottom - top) / (y1 - y2) == pytest.approx(1, rel=0.02)  # 0.5 to 1.5
    texts = [e.text for e in svg.iter("text")]
    assert {"3", "6", "12", "24", "as it came", "measured kbps"} <= set(texts)
    assert [e.text for e in svg.iter("title")] == ["tip 3", "tip 6", "tip 24"]
    inside = {float(v) for v in texts if v and re.fullmatch(r"[\d.]+", v)}
    assert 999 not in inside


@pytest.mark.parametrize("low", [-3.2e-7, 0.0, 4.9, 1e5])
@pytest.mark.parametrize("span", [0.0, 1e-6, 0.013, 7.0, 3e4])
def test_any_range_has_a_few_round_ticks(low: float, span: float) -> None:
    points = [Point(1, Mean(v, v, v), "") for v in (low, low + span)]
    svg = ElementTree.fromstring(chart([Curve(0, "a", points)], Axis("x", 1), "t"))
    ticks = [e.text or "" for e in svg.iter("text") if e.get("class") == "end"]
    assert 2 <= len(set(ticks)) <= 8
    assert all(len(tick) <= 9 for tick in ticks)


def test_labels_of_neighbours_do_not_cover_each_other() -> None:
    curves = [
        Curve(i, str(i), [Point(26.5, Mean(y, y, y), "", f"{i}.0")])
        for i, y in enumerate((0.93, 0.931, 0.94, 0.5))
    ]
    svg = ElementTree.fromstring(chart(curves, KBPS, "t"))
    texts = [e for e in svg.iter("text") if "curve" in (e.get("class") or "")]
    places = [(float(e.attrib["x"]), float(e.attrib["y"])) for e in texts]
    assert len(places) == 4
    for i, (a, b) in enumerate(places):
        assert all(abs(a - c) > 20 or abs(b - d) > 9 for c, d in places[:i])


def test_nothing_to_draw_is_no_chart() -> None:
    assert chart([], KBPS, "t") == ""


def test_versions_are_equally_loud_and_in_order(tmp_path: Path, speech: np.ndarray) -> None:
    from pyloudnorm import Meter

    keep_sounds(tmp_path, speech)
    found = read_sounds(tmp_path, "clip0", ["ours 12", "Opus 12", "ours 3"], audio=True)
    assert [v.name for v in found.versions] == ["original", "ours 12", "Opus 12", "ours 3"]
    assert found.seconds == pytest.approx(len(speech) / 48000)
    loudness = []
    for version in found.versions:
        sound, rate = soundfile.read(io.BytesIO(_data(version.audio)))
        assert (rate, len(sound)) == (48000, len(speech))
        loudness.append(Meter(rate).integrated_loudness(sound))
        with Image.open(io.BytesIO(_data(version.picture))) as picture:
            assert len(set(picture.convert("L").get_flattened_data())) > 50  # not blank
    assert max(loudness) - min(loudness) < 0.1


def _data(uri: str) -> bytes:
    return base64.b64decode(uri.split(",", 1)[1])


def test_a_clip_that_was_not_kept_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(audiodec.AudioError, match="again with --keep clip7"):
        read_sounds(tmp_path, "clip7", ["ours 3"], audio=False)


def test_the_table_for_a_readme() -> None:
    values = [{"ESTOI": v, "WER": None} for v in (0.5, 0.7)]
    scores = [Score("a|b", str(i), 3.004, 0, v) for i, v in enumerate(values)]
    assert markdown(scores).splitlines() == [
        "| codec | measured kbps | ESTOI | WER |",
        "|---|---:|---:|---:|",
        r"| a\|b | 3.00 | 0.60 ±0.10 | - |",
    ]


def test_the_command_writes_both(tmp_path: Path, speech: np.ndarray) -> None:
    scores, out = tmp_path / "scores.parquet", tmp_path / "page.html"
    write_scores(make_scores(), ABOUT, scores)
    keep_sounds(tmp_path / "sounds", speech)
    command = [sys.executable, "-m", "audiodec", "bench", "report", scores, out]
    subprocess.run([*command, "--clip", "clip0", "--codec", "ours 12"], check=True)
    html = out.read_text()
    assert html.count("data:image/webp") == 2  # the original and the codec
    assert "data:audio" not in html
    report(scores, tmp_path / "table.md")
    assert "| ours 12 | 12.00 | 0.9" in (tmp_path / "table.md").read_text()


def test_mistakes_leave_nothing_half_written(tmp_path: Path) -> None:
    scores, out = tmp_path / "scores.parquet", tmp_path / "page.html"
    write_scores(make_scores(), ABOUT, scores)
    for wrong, words in (
        (lambda: report(scores, tmp_path / "page.pdf"), "ends in .html or .md"),
        (lambda: report(Path(__file__), out), "no table of audiodec bench quality"),
        (lambda: report(scores, out, codec=["x"]), "no codec 'x'"),
        (lambda: report(scores, out, clip=["../clip0"]), "holds no sound"),
    ):
        with pytest.raises(audiodec.AudioDecError, match=words):
            wrong()
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]
