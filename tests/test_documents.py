"""Every code block of README.md and docs/ runs as it is written; see tests/documents.py."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import soundfile

import audiodec
from audiodec.evaluation.listening.answers import Answers
from audiodec.evaluation.listening.definition import load_test
from audiodec.evaluation.listening.design import plan
from tests.conftest import SPEECH
from tests.documents import LANGUAGES, PAGES, REASONS, ROOT, Block, Scenario, read_blocks
from tests.test_listening_analysis import answer_all

# What makes blocks of a page take seconds instead of minutes.
SHORTER: dict[str, dict[str, str]] = {
    "docs/benchmark/README.md": {
        "data/validation --labels recipes/data/validation.csv": "clips",
        "--codec all --beam-width 4 --jobs 2": "--codec ours --codec opus --bitrate 6 --bitrate 12",
        "--keep jenny_20 --keep tuxpaint_da_0": "--keep a --keep b",
        "docs/benchmark/report.html --clip jenny_20": "build/report.html --clip a",
        "--clip jenny_20 --clip tuxpaint_da_0": "--clip a --clip b",
        "speech-48k-7 beam 4 ": f"{audiodec.load().info.id} ",
        " --codec 'Opus 1.6.1 fullband 12' --codec 'AMR-WB 12.65'": "",
        "bench speed --codec all": "bench speed --codec ours --rounds 3",
    },
    "docs/call.md": {
        "192.0.2.1:5004": "127.0.0.1:5014",
        "198.51.100.7:5004": "127.0.0.1:5016",
        "--key-file call.key   # here": "--key-file call.key --input a.wav --output c.wav &",
        "--key-file call.key   # there": "--key-file call.key --input b.wav --output d.wav",
    },
    "docs/listening.md": {"listen serve test": "listen serve test --port 8100"},
    "docs/loss.md": {
        "speech-48k my-model": "speech-48k my-model --steps 2",
        "--burst 1 --burst 3": "--burst 3 --metric ESTOI",
    },
    "docs/metrics.md": {"quality clips": "quality clips --codec ours --bitrate 6"},
    "docs/published.md": {"--eager": "--eager --windows 10"},
    "docs/serve.md": {"--host 0.0.0.0": "--host 127.0.0.1 --port 8767"},
    "docs/tokenize.md": {"--jobs 8": "--jobs 1", "data/train": "my-recordings"},
    "docs/training.md": {
        "my.yaml data.batch=12": "my.yaml data.batch=2 stages.0.steps=6 "
        "quantization.start_latents=1100"
    },
}


def tokens(folder: Path) -> None:
    (folder / "tokens.txt").write_text("secret\n")
    (folder / "tokens.txt").chmod(0o600)


def two_voices(folder: Path) -> None:
    for name in ("a.wav", "b.wav"):
        (folder / name).write_bytes((folder / "clips" / name).read_bytes())


def systems(folder: Path) -> None:
    """Two clips of an original and of two systems."""
    for system in ("reference", "ours-6", "opus-6"):
        (folder / "clips" / system).mkdir()
        for name in ("a.wav", "b.wav"):
            sound = (folder / "clips" / name).read_bytes()
            (folder / "clips" / system / name).write_bytes(sound)
    for name in ("a.wav", "b.wav"):
        (folder / "clips" / name).unlink()


def answer(folder: Path) -> None:
    """What eight listeners would have answered in the browser."""
    answers = Answers(load_test(folder / "test"), folder / "test")
    systems = {s for trial in plan(answers.test, 0) for s in trial.stimuli}
    for number in range(8):
        score = {name: 100 if name == "reference" else 40 + number for name in systems}
        answer_all(answers, f"listener {number}", score)


# What a page needs beyond speech.wav, my-recordings/ and clips/.
SETUP = {
    "docs/call.md": two_voices,
    "docs/listening.md": systems,
    "docs/serve.md": tokens,
}
# What people do before a block.
FIRST = {"docs/listening.md": {"listen analyse": answer}}
# Blocks that are not run, by reason: whoever adds one changes this number and says why.
SKIPPED = {"make": 3, "installs": 3, "microphone": 1, "corpus": 9, "containers": 2}
GENERATED = ROOT / "docs" / "reference" / "cli.md"  # by recipes/site.py, whose build checks links
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
    for name in ("recipes", "examples", "deploy"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def run(page: str, blocks: list[Block], folder: Path) -> None:
    SETUP.get(page, lambda folder: None)(folder)
    Scenario(folder, SHORTER.get(page, {}), FIRST.get(page, {})).run(blocks)


@pytest.mark.parametrize("page", PAGES_WITH_CODE)
def test_blocks(page: str, folder: Path) -> None:
    run(page, [block for block in read_blocks(page) if block.directive != "slow"], folder)


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW)
def test_slow_blocks(page: str, folder: Path) -> None:
    run(page, read_blocks(page), folder)


def test_every_block_says_what_it_is() -> None:
    """No block escapes: its language is known, and its comment has a meaning."""
    for block in (block for page in PAGES for block in read_blocks(page)):
        assert block.language in LANGUAGES, f"{block.where}: language {block.language!r}"
        kind, _, argument = block.directive.partition(" ")
        assert kind in ("", "slow", "background", "file", "skip"), block.where
        assert kind != "skip" or argument in REASONS, f"{block.where}: {argument!r}"
        assert kind != "background" or block.language in ("sh", "bash"), block.where
        assert block.language != "js" or kind == "skip", f"{block.where}: only `make js` runs it"


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
        path = (ROOT / page).parent / target
        if not re.match(r"(https?|mailto):", target) and path != GENERATED:
            assert path.exists(), f"{page}: {target}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 90
