"""The pages of `site/` in a real browser, with a microphone that hears a file."""

from __future__ import annotations

import http.server
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from audiodec.pretrained import BUNDLED
from tests.conftest import SPEECH

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[1]
PATIENCE_MS = 300_000  # for a machine that pauses; nothing asserts how long anything takes


def assemble(folder: Path) -> dict[str, Path]:
    """The folders of `audiodec serve`, from the sources; skips where the program is not built."""
    program = ROOT / "js" / "dist"
    if not (program / "index.js").exists():
        pytest.skip("no js/dist: make js")
    shutil.copytree(ROOT / "site", folder, dirs_exist_ok=True)
    shutil.copy(SPEECH, folder)
    for name, target in (("audiodec", program), ("models", BUNDLED)):
        (folder / name).symlink_to(target)  # for other servers, which follow it
    return {"/": folder, "/audiodec/": program, "/models/": BUNDLED}


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """A browser of its own, with flags; skips, saying why, where there is none."""
    reason = "playwright is not installed: no browser to drive"
    sync_api = pytest.importorskip("playwright.sync_api", reason=reason)
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        pytest.skip("no chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *flags])
        yield browser
        browser.close()


@contextmanager
def served(handler: Callable[..., http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server of this machine that answers with `handler`."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def hearing(file: Path) -> tuple[str, ...]:
    """Flags of a browser whose microphone hears a file again and again."""
    return ("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={file}")


@contextmanager
def opened(browser: Browser, url: str, microphone: bool = True, **options: Any) -> Iterator[Page]:
    """A page of its own; at the end nothing may have gone wrong in its console, and nothing may
    have been sent anywhere."""
    granted = ["microphone", "clipboard-read", "clipboard-write"] if microphone else []
    context = browser.new_context(permissions=granted, **options)
    context.set_default_timeout(PATIENCE_MS)
    page, wrong = context.new_page(), []
    page.on("console", lambda m: wrong.append(m.text) if m.type != "log" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    origin = url.split("/", 3)[2]
    page.on(
        "request",
        lambda r: (
            wrong.append(f"{r.method} {r.url}")
            if r.method != "GET" or (r.url.split("/", 3)[2] != origin and r.url.startswith("http"))
            else None
        ),
    )
    page.goto(url)
    yield page
    context.close()
    assert wrong == []


def assert_fits(page: Page) -> None:
    width = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]


# Of the page "call".


def start(page: Page) -> str:
    """Begin a call; its link."""
    page.get_by_text("Settings").click()
    page.get_by_label("Let the browser cancel echo and noise").uncheck()
    page.get_by_role("button", name="a call").or_(page.get_by_role("button", name="Join")).click()
    link = page.get_by_label("Give this link to the other end")
    link.wait_for()
    page.locator("#all").evaluate("details => { details.open = true; }")
    return link.input_value()


def numbers(page: Page) -> dict[str, float]:
    """What the page tells of its call."""
    rows = page.locator("#rows tr").evaluate_all(
        "rows => rows.map((row) => [...row.children].map((cell) => cell.textContent))"
    )
    return {name.replace(" ", "_"): float(value) for name, value in rows if _is_number(value)}


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).lstrip("-").isdecimal()


def wait_until(page: Page, name: str, least: float) -> dict[str, float]:
    for _ in range(PATIENCE_MS // 200):
        if numbers(page).get(name, 0) >= least:
            return numbers(page)
        page.wait_for_timeout(200)
    raise AssertionError(f"{name} is {numbers(page).get(name)}, not {least}")


def skip_where_too_busy(*pages: Page) -> None:
    """Skip the test where the pages cannot speak and hear in real time, 50 packets a second."""
    before = [numbers(page).get("sent", 0) for page in pages]
    began = time.monotonic()
    pages[0].wait_for_timeout(10_000)
    expected = 50 * (time.monotonic() - began)
    sent = [numbers(page).get("sent", 0) - first for page, first in zip(pages, before, strict=True)]
    if min(sent) < 0.8 * expected:
        pytest.skip(f"this machine is too busy: {sent} of {expected:.0f} packets were sent")
