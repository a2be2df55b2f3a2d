"""The documentation site: `make docs` builds it, and a browser reads it without the network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built strictly: a broken link or a page that is in no menu is an error."""
    folder = tmp_path_factory.mktemp("site")
    mermaid = "build/site-tools/package/dist/mermaid.min.js"
    subprocess.run(["make", "--silent", mermaid], cwd=ROOT, check=True, capture_output=True)
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """At the end nothing may have gone wrong in the console or asked for the network."""
    page, wrong = browser.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.on(
        "request",
        lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else wrong.append(r.url),
    )
    yield page
    page.close()
    assert not wrong


def test_every_page_reads_well_on_a_phone_without_the_network(site: Path, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    pages = [p for p in site.rglob("*.html") if p.name not in ("404.html", "report.html")]
    assert len(pages) > 25
    for path in pages:
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_diagrams_are_drawn(site: Path, page: Page) -> None:
    page.goto((site / "how-it-works.html").as_uri())
    page.wait_for_function("document.querySelectorAll('div.mermaid').length === 3")
    assert page.locator("pre.mermaid").count() == 0


def test_references_are_those_of_the_code(site: Path) -> None:
    commands = (site / "reference" / "cli.html").read_text()
    for name in (
        "audiodec encode",
        "audiodec bench quality",
        "audiodec prepare vctk",
        "--beam-width",
        "any format libsndfile reads, any sample rate and channel count.",
    ):
        assert name in commands
    interface = (site / "reference" / "api.html").read_text()
    for name in ("audiodec.load", "audiodec.Codec.encode", "audiodec.Decoder.decode"):
        assert f'id="{name}"' in interface


def test_make_docs_fails_on_a_broken_link(site: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "build").mkdir()
    pages = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
    for name in (*pages, "Makefile", "mkdocs.yml", "pyproject.toml", "recipes", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "build" / "site-tools").symlink_to(ROOT / "build" / "site-tools")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    with (tmp_path / "docs" / "faq.md").open("a") as page:
        page.write("[nobody wrote this](nowhere.md)\n")
    run = subprocess.run(
        ["make", "docs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert run.returncode
    assert "nowhere.md" in run.stdout + run.stderr
