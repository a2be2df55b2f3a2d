"""Every code block of README.md runs as it is written; see tests/documents.py."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from tests.conftest import SPEECH
from tests.documents import LANGUAGES, PAGES, REASONS, ROOT, Block, Scenario, read_blocks

# What makes blocks of a page take seconds instead of minutes.
SHORTER: dict[str, dict[str, str]] = {}
# What a page needs beyond speech.wav, my-recordings/ and clips/.
SETUP: dict[str, Callable[[Path], None]] = {}
# Blocks that are not run, by reason: whoever adds one changes this number and says why.
SKIPPED = {"make": 1}
PAGES_WITH_CODE = [page for page in PAGES if read_blocks(page)]
SLOW = [page for page in PAGES if any(b.directive == "slow" for b in read_blocks(page))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the pages take for granted: some speech, and the checkout's folders."""
    samples, rate = soundfile.read(SPEECH)
    soundfile.write(tmp_path / "speech.wav", samples, rate)
    for name in ("my-recordings/one.flac", "clips/a.wav", "clips/b.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, samples[: 2 * rate] if "b" in name else samples, rate)
    for name in ("recipes", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def run(page: str, blocks: list[Block], folder: Path) -> Scenario:
    SETUP.get(page, lambda folder: None)(folder)
    scenario = Scenario(folder, SHORTER.get(page, {}))
    scenario.run(blocks)
    return scenario


@pytest.mark.parametrize("page", PAGES_WITH_CODE)
def test_blocks(page: str, folder: Path) -> None:
    run(page, [block for block in read_blocks(page) if block.directive != "slow"], folder)


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW)
def test_slow_blocks(page: str, folder: Path) -> None:
    assert not run(page, read_blocks(page), folder).unused


def test_every_block_says_what_it_is() -> None:
    """No block escapes: its language is known, and its comment has a meaning."""
    for block in (block for page in PAGES for block in read_blocks(page)):
        assert block.language in LANGUAGES, f"{block.where}: language {block.language!r}"
        kind, _, argument = block.directive.partition(" ")
        assert kind in ("", "slow", "background", "file", "skip"), block.where
        assert kind != "skip" or argument in REASONS, f"{block.where}: {argument!r}"
        assert kind != "background" or block.language in ("sh", "bash"), block.where


def test_every_fence_is_found() -> None:
    """Blocks and comments about them, counted in another way than they are found."""
    for page in PAGES:
        text, blocks = (ROOT / page).read_text(), read_blocks(page)
        assert len(re.findall(r"^\s*```", text, re.M)) == 2 * len(blocks), page
        assert text.count("<!-- run:") == sum(bool(block.directive) for block in blocks), page


def test_what_is_not_run_is_counted() -> None:
    blocks = [block for page in PAGES for block in read_blocks(page)]
    skipped = [b.directive.partition(" ")[2] for b in blocks if b.directive.startswith("skip")]
    assert Counter(skipped) == SKIPPED


def test_replacements_are_of_something() -> None:
    for page, replacements in SHORTER.items():
        texts = [block.text for block in read_blocks(page)]
        for old in replacements:
            assert any(old in text for text in texts), f"{page}: {old!r} is on no block"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#\s]+)", text) + re.findall(
        r'(?:src|srcset)="([^"]+)"', text
    ):
        if not re.match(r"(https?|mailto):", target):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 90
