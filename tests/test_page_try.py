"""The page "try it": a sound in, every control, a file out and in again; nothing is uploaded."""

from __future__ import annotations

import http.server
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

import audiodec
from tests.page_tools import assemble, assert_fits, chromium, hearing, opened, served
from tests.serve_tools import Served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.xdist_group("pages")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory, speech: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    soundfile.write(path, speech, 48_000, "PCM_16")
    return path


@pytest.fixture(scope="module")
def browser(microphone: Path) -> Iterator[Browser]:
    with chromium(*hearing(microphone), "--autoplay-policy=no-user-gesture-required") as browser:
        yield browser


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[str]:
    """As `python -m http.server` serves it: without the headers of an isolated page."""
    folder = tmp_path / "pages"
    assemble(folder)
    handler = partial(Quiet, directory=str(folder))
    with served(handler) as address:
        yield f"{address}/"


def take_example(page: Page) -> None:
    page.get_by_role("button", name="Take the example").click()
    finished(page)


def finished(page: Page) -> None:
    """Everything that was asked for is there, and no problem."""
    page.locator("#opus-facts:not(:empty), #problem:not(:empty)").first.wait_for()
    page.locator("#status:empty").wait_for(state="attached")
    assert page.locator("#problem").inner_text() == ""


def facts(page: Page, name: str) -> str:
    return page.locator(f"#{name}-facts").inner_text()


def test_a_sound_in_every_control_and_a_file_out_and_in_again(
    browser: Browser, plain: str, tmp_path: Path, codec: audiodec.Codec, speech: np.ndarray
) -> None:
    with opened(browser, plain) as page:
        take_example(page)
        assert facts(page, "original").startswith("768 kbps")
        assert facts(page, "audiodec").startswith("6.0 kbps measured")
        bitrate = page.get_by_role("slider", name="Bitrate")
        bitrate.focus()
        page.keyboard.press("End")
        page.get_by_text("12.0 kbps measured").wait_for()
        assert bitrate.get_attribute("aria-valuetext") == "12 kilobits per second"
        finished(page)

        # Listening: the button, the keys, the place.
        play = page.get_by_role("button", name="Play")
        play.click()
        page.get_by_role("button", name="Stop").wait_for()
        for key, name in (("1", "Original"), ("2", "AudioDec")):
            page.keyboard.press(key)
            assert page.get_by_role("radio", name=name).is_checked()
        page.get_by_role("button", name="Stop").click()
        page.get_by_label("Position in the sound").fill("0.5")
        assert page.locator("#time").inner_text() == "1.4 / 2.7 s"
        page.locator("h1").click()
        page.keyboard.press(" ")
        page.get_by_role("button", name="Stop").wait_for()
        page.get_by_role("button", name="Play").wait_for()  # it ends by itself
        for name in ("Original", "AudioDec"):
            picture = page.get_by_role("img", name=f"Spectrogram of {name}")
            assert picture.evaluate(
                "c => new Set(c.getContext('2d').getImageData(0, 0, 1200, 224).data).size > 50"
            )

        with page.expect_download() as saving:
            page.get_by_role("button", name="Save as .adc").click()
        file = tmp_path / saving.value.suggested_filename
        saving.value.save_as(file)
        assert file.name == "speech.adc"
        page.get_by_text(f"{file.stat().st_size} bytes").wait_for()
        sound = tmp_path / "decoded.wav"
        audiodec.decode_file(file, sound, codec=codec)
        decoded = soundfile.read(sound, dtype="float32")[0]
        assert len(decoded) == len(speech)
        expected = codec.decode(codec.encode(speech, bitrate=12), len(speech))
        assert np.corrcoef(decoded, expected)[0, 1] > 0.99

        page.get_by_label("Audio or .adc file").set_input_files(file)
        page.get_by_role("button", name="Save as .adc").wait_for()
        finished(page)

        page.get_by_label("Audio or .adc file").set_input_files(Path(__file__))
        page.get_by_text("test_page_try.py is no sound that this browser reads").wait_for()
        file.write_bytes(file.read_bytes()[:40])
        page.get_by_label("Audio or .adc file").set_input_files(file)
        page.locator("#problem:not(:empty)").wait_for()


def test_recording_on_a_phone(
    browser: Browser, serve_rooms: Callable[..., Served], tmp_path: Path
) -> None:
    with (
        serve_rooms(folders=assemble(tmp_path / "pages")) as server,
        opened(
            browser, server.address("/"), viewport={"width": 390, "height": 844}, has_touch=True,
            color_scheme="dark",
        ) as page,
    ):  # fmt: skip
        assert page.evaluate("crossOriginIsolated")
        assert_fits(page)
        page.get_by_role("button", name="Record").click()
        page.get_by_text("Recording: 1 s").wait_for()
        page.get_by_role("button", name="Stop").click()
        finished(page)
        assert_fits(page)
        assert "kbps measured" in facts(page, "audiodec")


@pytest.mark.parametrize("path", ["", "call.html"])
def test_a_refused_microphone_is_told_in_words(browser: Browser, plain: str, path: str) -> None:
    with opened(browser, plain + path, microphone=False) as page:
        page.get_by_role("button", name="Start a call" if path else "Record").click()
        page.get_by_text("The microphone was refused").wait_for()
        take = page.get_by_role("button", name="Start a call" if path else "Take the example")
        assert take.is_enabled()


def test_a_missing_model_is_told_in_words(browser: Browser, plain: str, tmp_path: Path) -> None:
    (tmp_path / "pages" / "models").unlink()
    wrong: list[str] = []
    page = browser.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(plain)
    page.get_by_role("button", name="Take the example").click()
    page.get_by_text("cannot be read: 404").wait_for()
    page.close()
    assert wrong == []
