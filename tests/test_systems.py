"""Nothing but live sound needs more than Python has everywhere: what other systems lack is taken
away, and the commands work. `docs/systems.md` says what this shows and what it does not."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec.cli.common import results
from audiodec.errors import AudioDecError
from audiodec.tokenization.journal import Journal
from audiodec.tokenization.run import Plan, tokenize

ROOT = Path(audiodec.__file__).parent
POSIX = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "readline")
WITHOUT = f"""
import multiprocessing.connection, os, runpy, signal, subprocess, sys, tempfile
import numpy, onnxruntime, pydantic, rich.console, soundfile, soxr, typer  # they know this system
for name in {POSIX}:
    sys.modules[name] = None
for name in ("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "pthread_kill"):
    delattr(signal, name)
for name in ("fork", "sched_getaffinity", "mkfifo", "getuid", "geteuid", "O_NONBLOCK"):
    if hasattr(os, name):
        delattr(os, name)
sys.argv = ["audiodec", *sys.argv[1:]]
runpy.run_module("audiodec", run_name="__main__")
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command on a system that lacks what Windows lacks."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    random = np.random.default_rng(0)
    for n in range(2):
        soundfile.write(folder / f"{n}.wav", random.normal(0, 0.1, 16000 + n), 16000)
    return folder


def test_files_without_posix(corpus: Path, small_folder: Path, tmp_path: Path) -> None:
    packed, out = tmp_path / "x.adc", tmp_path / "x.wav"
    for arguments in (
        ("encode", corpus / "0.wav", packed, "--model", small_folder),
        ("info", packed, "--json"),
        ("decode", packed, out, "--model", small_folder),
    ):
        result = run(*arguments)
        assert result.returncode == 0, result.stderr
    assert soundfile.info(out).frames == 16000


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_tokenize_without_posix(
    corpus: Path, small_folder: Path, tmp_path: Path, kind: str
) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="needs the scale extra")
    result = run("tokenize", corpus, tmp_path / "out", "--format", kind, "--model", small_folder)
    assert result.returncode == 0, result.stderr
    assert "2 files" in result.stderr


def test_prepare_without_posix(corpus: Path, tmp_path: Path) -> None:
    result = run("prepare", "folder", corpus, tmp_path / "m.csv")
    assert result.returncode == 0, result.stderr


def test_a_folder_of_tokens_is_locked(corpus: Path, small_folder: Path, tmp_path: Path) -> None:
    plan = Plan.of(corpus, model=str(small_folder), kind="webdataset")
    with (
        Journal(tmp_path / "out", plan.settings),
        pytest.raises(AudioDecError, match="another audiodec tokenize"),
    ):
        tokenize(plan, tmp_path / "out")
    assert tokenize(plan, tmp_path / "out").coded == 2


def test_modules_that_windows_lacks_are_imported_nowhere() -> None:
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {*names} & {*POSIX}, f"{path} imports {names}"


def test_names_in_tables_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    table = Table(title="[bold]test")
    table.add_column("[red]system")
    for name in ("codec [ours]", "codec [theirs]", ":smile: [/] [x=1]"):
        table.add_row(name)
    results.print(table)
    shown = capsys.readouterr().out
    for name in (
        "[bold]test",
        "[red]system",
        "codec [ours]",
        "codec [theirs]",
        ":smile: [/] [x=1]",
    ):
        assert name in shown


def test_every_table_is_printed_without_markup() -> None:
    """One console for results: no other is made, with which names in brackets would be eaten."""
    made = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "cli").glob("*.py")
        if path.name != "common.py" and "Console(" in path.read_text(encoding="utf-8")
    ]
    assert not made
