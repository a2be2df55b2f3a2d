"""The report in a real browser: it plays, switches at the same place, sorts, and fits a phone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is not installed: no browser to drive")
from audiodec.evaluation.report import page as make_page
from audiodec.evaluation.report import read_sounds
from tests.test_report import ABOUT, keep_sounds, make_scores

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# What reaches the loudspeaker is tapped on its way; sources are counted.
LISTEN = """
window.starts = 0;
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    window.tap ??= new AnalyserNode(this.context, { fftSize: 32768 });
    connect.call(this, window.tap);
  }
  return connect.call(this, target, ...rest);
};
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...values) {
  window.starts += 1;
  return start.apply(this, values);
};
window.level = () => {
  const samples = new Float32Array(window.tap.fftSize);
  window.tap.getFloatTimeDomainData(samples);
  return Math.hypot(...samples) / Math.sqrt(samples.length);
};
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, speech: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("report")
    names = ["ours 3", "ours 12", "Opus 12"]
    for clip in ("clip0", "clip1"):
        keep_sounds(folder / "sounds", speech, clip)
    clips = [read_sounds(folder / "sounds", clip, names, audio=True) for clip in ("clip0", "clip1")]
    (folder / "report.html").write_text(make_page(make_scores(), ABOUT, clips))
    return folder / "report.html"


@contextmanager
def opened(
    browser: Browser, report: Path, width: int = 1200, scheme: str = "light"
) -> Iterator[Page]:
    """The page; at the end nothing may have gone wrong in its console or asked for the network."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    context.add_init_script(LISTEN)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request",
        lambda r: None if r.url.startswith(("file:", "data:")) else problems.append(r.url),
    )
    page.goto(report.as_uri())
    yield page
    context.close()
    assert problems == []


def test_it_plays_and_switches_at_the_same_place(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        clip = page.locator(".clip").first
        versions, play = clip.locator(".version"), clip.locator(".play")
        assert versions.count() == 4
        play.click()
        page.wait_for_function("document.querySelector('.seek').value > 0.05")
        page.wait_for_function("window.level() > 0.003")
        assert page.evaluate("window.starts") == 4  # all together, once
        before = float(clip.locator(".seek").input_value())
        versions.nth(2).click()
        assert versions.nth(2).get_attribute("aria-pressed") == "true"
        assert versions.nth(0).get_attribute("aria-pressed") == "false"
        after = float(clip.locator(".seek").input_value())
        assert after >= before or before > 0.5  # it went on, or round
        assert page.evaluate("window.starts") == 4  # no version began anew
        page.wait_for_function("window.level() > 0.003")
        play.click()
        page.wait_for_function("window.level() === 0")
        assert play.inner_text() == "Play"


def test_one_clip_at_a_time_and_seeking(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        first, second = page.locator(".clip").nth(0), page.locator(".clip").nth(1)
        first.locator(".play").click()
        page.wait_for_function("document.querySelector('.play').textContent === 'Pause'")
        second.locator(".play").click()
        page.wait_for_function("document.querySelectorAll('.play')[1].textContent === 'Pause'")
        assert first.locator(".play").inner_text() == "Play"
        second.locator(".play").click()
        second.locator(".seek").fill("0.5")
        assert second.locator(".now").inner_text() == "1.4 s"
        assert second.evaluate("e => e.style.getPropertyValue('--at')") == "0.5"


def test_a_heading_sorts_and_sorts_back(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        table = page.locator("#scores table")

        def column(number: int) -> list[str]:
            return table.locator(f"tbody tr > :nth-child({number})").all_inner_texts()

        order = column(1)
        table.get_by_role("button", name="ESTOI").click()
        values = [float(text.split()[0]) for text in column(4)]
        assert values == sorted(values)
        table.get_by_role("button", name="ESTOI").click()
        assert [float(text.split()[0]) for text in column(4)] == sorted(values, reverse=True)
        assert table.locator("th[aria-sort=descending]").inner_text().startswith("ESTOI")
        for _ in range(2):  # what has no value stays last
            table.get_by_role("button", name="mel distance").click()
            assert column(5)[-1] == "\N{EN DASH}"
        table.get_by_role("button", name="codec").click()
        assert column(1) == order


def test_the_legend_hides_a_codec(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        opus = page.locator(".curve[data-family='1']").first
        assert opus.is_visible()
        page.locator(".legend button", has_text="Opus").click()
        assert not opus.is_visible()
        assert page.locator(".curve[data-family='0']").first.is_visible()
        page.locator(".legend button", has_text="Opus").click()
        assert opus.is_visible()


def test_it_fits_a_phone(browser: Browser, report: Path) -> None:
    with opened(browser, report, width=375) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        for selector in (".charts svg", ".versions", ".transport", ".scroll"):
            box = page.locator(selector).first.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 375
        size = page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
        assert size >= 16
        chart = page.locator(".charts svg").first
        shown = chart.evaluate("e => e.clientWidth / e.viewBox.baseVal.width")
        text = chart.locator("text").first.evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
        assert shown * text >= 10  # px


def test_it_is_dark_where_that_is_asked(browser: Browser, report: Path) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        with opened(browser, report, scheme=scheme) as page:
            color = page.evaluate("getComputedStyle(document.body).backgroundColor")
            shades[scheme] = sum(map(int, color.strip("rgb()").split(",")))
    assert shades["light"] > 600 > 200 > shades["dark"]
