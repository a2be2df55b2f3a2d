"""docs/samples in a browser: it plays from the disk, switches at the same sample, fits a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is not installed: no browser to drive")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SAMPLES = Path(__file__).parents[1] / "docs" / "samples"
VERSIONS = 8  # the original, ours at four rates, Opus twice, Lyra
MAX_BYTES = 4_000_000
SAME_TIME_MS = 4  # codecs differ by less in where they put the sound
# Log power of 10 ms, every ms, of all versions of a clip: codecs of this kind need not keep phases.
LEVELS = """(n) => clips[n].buffers.map((buffer) => {
  const sound = buffer.getChannelData(0), ms = buffer.sampleRate / 1000, sums = [0], levels = [];
  for (const x of sound) sums.push(sums[sums.length - 1] + x * x);
  for (let t = 0; (t + 10) * ms <= sound.length; t++) {
    const from = Math.round(t * ms), to = Math.round((t + 10) * ms);
    levels.push(Math.log((sums[to] - sums[from]) / (to - from) + 1e-6));
  }
  return levels;
})"""
# Sources are counted: switching must not start new ones. Their starts are kept.
LISTEN = """
window.starts = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...values) {
  window.starts.push(values);
  return start.apply(this, values);
};
"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """The page from the disk; at the end nothing may have gone wrong or left the machine."""
    page, wrong = browser.new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith("file:") else wrong.append(r.url))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    page.add_init_script(LISTEN)
    page.goto((SAMPLES / "index.html").as_uri())
    yield page
    assert not wrong
    page.close()


def play(page: Page, number: int = 0) -> None:
    page.locator(".play").nth(number).click()
    page.wait_for_function("(n) => clips[n].playing", arg=number)


def test_everything_is_there_and_small() -> None:
    files = [path for path in SAMPLES.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES
    assert {path.suffix for path in files} == {".html", ".js", ".webp"}


def test_six_clips_in_eight_versions_with_measured_rates(page: Page) -> None:
    assert page.locator(".clip").count() == 6
    for clip in page.locator(".clip").all():
        assert clip.locator(".version").count() == clip.locator("img").count() == VERSIONS
        rates = [float(t.split()[0]) for t in clip.locator(".kbps").all_inner_texts()[1:]]
        assert np.allclose(rates[:4], [12, 9, 6, 3], atol=0.1)
        assert rates[6] == pytest.approx(6, abs=0.1)
        assert all(10 < rate < 13.5 for rate in rates[4:6])


def test_all_versions_start_at_the_same_sample(page: Page) -> None:
    play(page)
    starts = page.evaluate("starts")
    assert len(starts) == VERSIONS
    assert len({tuple(start) for start in starts}) == 1


def test_switching_goes_on_at_the_same_place(page: Page) -> None:
    play(page)
    page.locator(".version").nth(4).click()
    before, after = page.evaluate(
        "async () => { const before = clips[0].now; clips[0].choose(6);"
        " return [before, clips[0].now]; }"
    )
    assert after == pytest.approx(before, abs=0.05)
    assert page.evaluate("starts.length") == VERSIONS
    page.wait_for_function(
        "clips[0].gains[6].gain.value > 0.99 && clips[0].gains[4].gain.value < 0.01"
    )
    assert page.locator(".clip").first.locator("img:visible").count() == 1


def test_the_sounds_are_the_same_passage(page: Page) -> None:
    """Every version decodes in the browser, as long as the original and in step with it."""
    for number in range(6):
        play(page, number)
        original, *others = map(np.array, page.evaluate(LEVELS, number))
        assert len(original) >= 1000 * page.evaluate("(n) => clips[n].seconds", number) - 15
        for levels in others:
            assert len(levels) == len(original)
            assert abs(lag(original, levels)) <= SAME_TIME_MS


def lag(reference: np.ndarray, other: np.ndarray) -> int:
    """In ms, of the highest cross-correlation of levels within 50 ms."""
    middle = slice(60, len(reference) - 60)
    reference, other = reference - reference.mean(), other - other.mean()
    return max(
        range(-50, 51), key=lambda k: float(np.dot(np.roll(other, -k)[middle], reference[middle]))
    )


def test_one_clip_plays_at_a_time(page: Page) -> None:
    play(page, 0)
    play(page, 1)
    assert page.evaluate("clips.map((clip) => clip.playing)") == [False, True, *4 * [False]]


def test_keyboard(page: Page) -> None:
    page.keyboard.press("Space")
    page.wait_for_function("clips[0].playing")
    page.keyboard.press("5")
    assert (
        page.locator(".clip")
        .first.locator("[aria-checked=true]")
        .inner_text()
        .startswith("AudioDec 3")
    )
    page.keyboard.press("Space")
    page.wait_for_function("!clips[0].playing")
    at = page.evaluate("clips[0].now")
    page.keyboard.press("ArrowRight")
    moved = page.evaluate("clips[0].now")
    assert moved == pytest.approx(at + 0.5, abs=0.01) or moved == pytest.approx(
        page.evaluate("clips[0].seconds") - 0.01
    )


def test_it_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in page.locator(".version").all()[:8]:
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
