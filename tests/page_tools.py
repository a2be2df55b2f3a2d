"""The pages of `site/` in a real browser, with a microphone that hears a file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
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
