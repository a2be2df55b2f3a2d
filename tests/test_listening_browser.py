"""The page of a listening test in a real browser, from the first click to the stored answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: no browser to drive")
pytest.importorskip("uvicorn", reason="the extra `bench` is not installed")
from audiodec.evaluation.listening.answers import Answers
from audiodec.evaluation.listening.definition import load_test
from tests.test_listening import make_test
from tests.test_listening_server import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

WATCH_SOUND = """
window.starts = 0;
window.gains = [];
const createGain = AudioContext.prototype.createGain;
AudioContext.prototype.createGain = function () {
  window.gains.push(createGain.call(this));
  return window.gains.at(-1);
};
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...values) {
  window.starts += 1;
  return start.apply(this, values);
};
"""


@contextmanager
def opened(browser: Browser, url: str, width: int = 1100) -> Iterator[Page]:
    """A page of its own; at the end nothing may have gone wrong in its console."""
    context = browser.new_context(viewport={"width": width, "height": 800}, has_touch=width < 500)
    context.add_init_script(WATCH_SOUND)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda m: problems.append(m.text) if m.type != "log" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(url)
    yield page
    context.close()
    assert problems == []


def begin(page: Page, name: str) -> None:
    page.get_by_label("Choose a name").fill(name)
    page.get_by_role("button", name="Start").click()
    page.get_by_role("button", name="Play", exact=True).wait_for()


def assert_fits(page: Page) -> None:
    width = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]


def test_mushra_from_first_click_to_stored_answer(browser: Browser, tmp_path: Path) -> None:
    folder = make_test(tmp_path, "mushra", clips=1, seconds=20)
    count = len(load_test(folder).systems)
    letters = "ABCDEFGH"[:count]

    def rate(page: Page, letter: str, score: int) -> None:
        page.keyboard.press(letter)  # listen; its slider has the focus
        page.get_by_label(f"Quality of {letter}").fill(str(score))

    def sent(response: Response) -> dict[str, list[int]]:
        return json.loads(response.request.post_data or "{}")  # type: ignore[no-any-return]

    def hear(page: Page, letters: str) -> None:
        for letter in letters:
            page.get_by_role("button", name=f"Listen to {letter}").click()
        page.get_by_role("button", name="Reference").click()

    with served(folder) as url:
        with opened(browser, url) as page:
            begin(page, "ear one")
            assert page.get_by_text("Practice 1 of 1").is_visible()
            done = page.get_by_role("button", name="Next")
            assert done.is_disabled()
            hear(page, letters)
            assert page.evaluate("window.starts") == count + 1  # all run together, once
            position = page.get_by_label("Position in the recording")
            before = float(position.input_value())
            page.keyboard.press("b")
            # The only one that sounds.
            page.wait_for_function(
                "gains.every((node, i) => Math.abs(node.gain.value - (i === 1)) < 0.01)"
            )
            assert float(position.input_value()) >= before  # goes on, does not start again
            assert page.evaluate("window.starts") == count + 1
            for letter in letters:
                rate(page, letter, 40)
            done.click()
            page.get_by_text("Trial 1 of 1").wait_for()
            rate(page, "A", 12)
            rate(page, "B", 90)
            page.keyboard.press("ArrowRight")
            with page.expect_response(lambda r: sent(r).get("scores", [0, 0])[1] == 81):
                page.keyboard.press("PageDown")
        # Another browser, the same name: where one stopped, with the scores given.
        with opened(browser, url) as page:
            begin(page, "ear one")
            with page.expect_response("**/answer"):
                rate(page, "C", 70)
            page.reload()
            page.get_by_role("button", name="Play", exact=True).wait_for()
            assert page.get_by_text("Trial 1 of 1").is_visible()
            assert page.get_by_label("Quality of A").input_value() == "12"
            assert page.get_by_label("Quality of C").input_value() == "70"
            hear(page, letters)
            assert page.get_by_text("Rate every version").is_visible()
            for letter in letters[3:]:
                rate(page, letter, 55)
            page.get_by_role("button", name="Finish").dblclick()
            page.get_by_text("Thank you").wait_for()
            page.reload()
            page.get_by_text("Thank you").wait_for()
    ratings, unfinished = Answers(load_test(folder), folder).ratings()
    assert unfinished == []
    assert {r.listener for r in ratings} == {"ear one"}
    scores = [r.score for r in ratings]
    assert scores == [12, 81, 70] + [55] * (count - 3)
    assert {r.system for r in ratings} == set(load_test(folder).systems)


@pytest.mark.parametrize("method", ["mushra", "mos", "abx"])
def test_phone_width_without_scrolling_sideways(
    browser: Browser, tmp_path: Path, method: str
) -> None:
    folder = make_test(tmp_path, method, clips=1, seconds=0.5)
    with served(folder) as url, opened(browser, url, 375) as page:
        page.get_by_label("Choose a name").wait_for()
        assert_fits(page)
        begin(page, "phone")
        assert_fits(page)
        for button in page.get_by_role("button").all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 40  # of a finger


@pytest.mark.slow
def test_mos_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    folder = make_test(tmp_path, "mos", clips=1, seconds=0.5)
    trials = len(load_test(folder).systems)
    with served(folder) as url, opened(browser, url) as page:
        begin(page, "typist")
        for number in range(2 * trials):
            place = f"{'Practice' if number < trials else 'Trial'} {number % trials + 1} of"
            page.get_by_text(place).wait_for()
            assert page.get_by_role("radio", name="Excellent").is_disabled()
            page.get_by_role("button", name="Play", exact=True).focus()
            page.keyboard.press("Space")
            page.wait_for_selector("input[type=radio]:enabled")
            page.keyboard.press(str(1 + number % trials))
            page.wait_for_selector("button.next:enabled")
            page.get_by_role("radio", name="Good").focus()
            page.keyboard.press("Enter")
        page.get_by_text("Thank you").wait_for()
    ratings, _ = Answers(load_test(folder), folder).ratings()
    assert [r.score for r in ratings] == [1 + n for n in range(trials)]


@pytest.mark.slow
def test_abx_answers_count_as_right_or_wrong(browser: Browser, tmp_path: Path) -> None:
    folder = make_test(tmp_path, "abx", clips=1, seconds=0.5)
    with served(folder) as url, opened(browser, url) as page:
        begin(page, "ear two")
        while page.get_by_role("button", name="Play", exact=True).is_visible():
            for letter in "ABX":
                page.get_by_role("button", name=f"Listen to {letter}").click()
            page.get_by_text("X is the same as A").click()
            heading = page.locator("#progress span").inner_text()
            page.locator("button.next").click()
            page.wait_for_function(
                "was => document.querySelector('main').textContent.includes('Thank you') || "
                "(document.querySelector('#progress span').textContent !== was && "
                "document.querySelector('button.next'))",
                arg=heading,
            )
    test = load_test(folder)
    answers = Answers(test, folder)
    ratings, unfinished = answers.ratings()
    assert not unfinished
    trials = [t for t in answers.progress(answers.register("ear two")).trials if not t.practice]  # type: ignore[union-attr]
    assert [r.score for r in ratings] == [float(t.stimuli[2] == t.stimuli[0]) for t in trials]


@pytest.mark.slow
def test_the_server_stops_answering_and_the_page_says_so(browser: Browser, tmp_path: Path) -> None:
    folder = make_test(tmp_path, "mos", clips=1, seconds=0.5)
    context = browser.new_context()
    page = context.new_page()
    with served(folder) as url:
        page.goto(url)
        page.get_by_label("Choose a name").fill("lost")
    page.get_by_role("button", name="Start").click()
    page.get_by_text("cannot be reached").wait_for()
    context.close()


def test_nothing_sent_names_a_system(browser: Browser, tmp_path: Path) -> None:
    folder = make_test(tmp_path, "mushra", clips=1, seconds=0.5)
    sent: dict[str, str] = {}
    with served(folder) as url, opened(browser, url) as page:
        page.on("response", lambda r: sent.update({r.url: json.dumps(r.headers)}))
        begin(page, "spy")
        content = page.content()
    sounds = [headers for address, headers in sent.items() if "/sound/" in address]
    assert len(sounds) == 6
    assert not any(word in headers for headers in sounds for word in ("etag", "last-modified"))
    test = load_test(folder)
    for secret in [*test.systems[1:], *test.clips[0].files.values()]:
        assert secret not in content + repr(sent)
