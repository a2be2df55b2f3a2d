"""Pipes by name, and names of every kind: odd ones in folders, none, byte order marks."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

import audiodec
from audiodec.adc import encode_file
from audiodec.audio_files.folder import list_folder
from audiodec.call.keys import read_key
from audiodec.cli import common
from audiodec.evaluation.quality.clips import find_clips as bench_clips
from audiodec.prepare.corpora import folder as folder_corpus
from audiodec.prepare.manifest import make_manifest, read_manifest
from audiodec.serve.messages import read_tokens
from audiodec.tokenization.listing import read_list
from audiodec.training.data import find_clips
from audiodec.training.recipe import Source
from tests.broken_sound import coded
from tests.test_input_door import SAMPLES, run, written

# Pipes


def feed(path: Path, data: bytes) -> threading.Thread:
    thread = threading.Thread(target=lambda: path.write_bytes(data))
    thread.start()
    return thread


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3"])
def test_a_named_pipe(kind: str, small: audiodec.Codec, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    feeding = feed(tmp_path / "pipe", coded(kind))
    result = encode_file(str(tmp_path / "pipe"), str(tmp_path / "out.adc"), codec=small)
    feeding.join()
    assert result.samples == SAMPLES


def test_stdin_by_name_and_closed(small_folder: Path, tmp_path: Path) -> None:
    if not Path("/dev/stdin").exists():
        pytest.skip("this system has no /dev/stdin")
    command = f"{sys.executable} -m audiodec encode {{}} {tmp_path}/o.adc --model {small_folder}"
    data = written(tmp_path / "a.wav", coded("WAV"))
    for words, code, told in (
        (f"cat {data} | {command.format('/dev/stdin')}", 0, "2.00 s"),
        (f"{command.format('-')} < {data}", 0, "2.00 s"),
        (f"{command.format('-')} <&-", 1, "standard input is closed"),
        (f"{command.format('/dev/zero')}", 1, "is a device"),
        (f"{command.format('EMPTY').replace('EMPTY', chr(39) * 2)}", 1, "an argument is empty"),
    ):
        done = subprocess.run(["sh", "-c", words], capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert told in done.stderr
        assert done.stderr.count("\n") == 1


# Names


def test_a_folder_of_odd_names(tmp_path: Path) -> None:
    folder, beside = tmp_path / "in", tmp_path / "beside"
    for made in (folder / "x.wav", folder / "sub", beside):
        made.mkdir(parents=True)
    data = coded("WAV")
    (folder / "[x] [").mkdir()
    names = ["[x] [/y].wav", "[a] [bold].wav", "sub/deep.WAV", "x.wav/inner.wav", "two\nlines.wav"]
    for name in names:
        written(folder / name, data)
    written(folder / "._a.wav", b"Mac OS X")
    written(folder / "a.raw", data)
    written(beside / "far.wav", data)
    (folder / "link").symlink_to(beside)
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "gone.wav").symlink_to(folder / "nothing")
    listing = list_folder(folder)
    found = {str(path.relative_to(folder)) for path in listing.files}
    assert found == {*names, "link/far.wav"}
    reasons = sorted(line.rpartition(": ")[2] for line in listing.left_out)
    assert reasons == [
        "has no header that says what its samples are", "is a link to nothing",
        "is listed already under another name",
    ]  # fmt: skip
    assert {file.path for file in read_list(folder)[0]} == found
    assert {str(r.path.relative_to(folder)) for r in folder_corpus(folder).recordings} == found
    assert len(find_clips(Source(path=str(folder)), 0.1)) == len(found)
    assert len(bench_clips([folder])) == len(found)


def test_a_whole_folder_job_with_odd_names(
    small_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    (folder / "x.wav").mkdir(parents=True)
    for name in ("[a] [bold].wav", "two\nlines.wav", "x" * 250 + ".wav"):
        written(folder / name, coded("WAV"))
    written(folder / "._a.wav", b"Mac OS X")
    written(folder / "a.raw", coded("WAV"))
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, highlight=False, markup=False, width=400)
    for module in ("common", "encode"):
        monkeypatch.setattr(f"audiodec.cli.{module}.console", terminal)
    code, _, told = run("encode", folder, tmp_path / "out", "--model", small_folder)
    assert code == 0, told
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert "[a] [bold].adc" in shown.getvalue()
    assert "two\\nlines.adc" in shown.getvalue()


def test_a_name_that_is_not_utf8(small_folder: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path / "in") + b"/caf\xe9.wav"
    (tmp_path / "in").mkdir()
    try:
        Path(os.fsdecode(odd)).write_bytes(coded("WAV"))
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 names only")
    code, _, told = run("encode", tmp_path / "in", tmp_path / "out", "--model", small_folder)
    assert code == 0, told
    code, _, told = run("prepare", "folder", tmp_path / "in", tmp_path / "m.csv")
    assert code == 0, told
    (row,) = read_manifest(tmp_path / "m.csv")
    assert os.fsencode(row.path).endswith(b"caf\xe9.wav")
    written(tmp_path / "in" / "plain.wav", coded("WAV"))
    files, (line,) = read_list(tmp_path / "in")
    assert [file.path for file in files] == ["plain.wav"]
    assert line.endswith("caf\\udce9.wav: is not UTF-8: rename the file")


def test_an_empty_name_is_no_folder(small_folder: Path, tmp_path: Path) -> None:
    code, _, told = run("encode", "", tmp_path / "out", "--model", small_folder)
    assert code != 0
    assert "a name is empty" in told


def test_a_byte_order_mark_before_lists(tmp_path: Path) -> None:
    written(tmp_path / "a.wav", coded("WAV"))
    (tmp_path / "list.txt").write_text("a.wav\n", encoding="utf-8-sig")
    assert [file.path for file in read_list(tmp_path / "list.txt")[0]] == ["a.wav"]
    make_manifest(folder_corpus(tmp_path).recordings, tmp_path / "m.csv")
    plain = (tmp_path / "m.csv").read_bytes()
    written(tmp_path / "m.csv", b"\xef\xbb\xbf" + plain)
    assert [row.path for row in read_manifest(tmp_path / "m.csv")] == ["a.wav"]
    assert [clip.name for clip in bench_clips([tmp_path / "m.csv"])] == ["a"]
    (tmp_path / "labels.csv").write_text("clip,speaker\na,anna\n", encoding="utf-8-sig")
    (clip,) = bench_clips([tmp_path / "a.wav"], tmp_path / "labels.csv")
    assert clip.labels == {"speaker": "anna"}
    (tmp_path / "tokens").write_text("secret\n", encoding="utf-8-sig")
    (tmp_path / "key").write_text("ab" * 32 + "\n", encoding="utf-8-sig")
    for name in ("tokens", "key"):
        (tmp_path / name).chmod(0o600)
    assert read_tokens(tmp_path / "tokens") == ["secret"]
    assert read_key(tmp_path / "key") == b"\xab" * 32


def test_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    with common.progress("[/x] [bold]", None):
        common.warn(["[/x] is missing"])
    table = Table("name")
    table.add_row("device [hw] [/x]")
    common.results.print(table)
    shown = capsys.readouterr()
    assert "[/x] is missing" in shown.err
    assert "device [hw] [/x]" in shown.out
