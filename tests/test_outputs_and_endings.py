"""What goes out and how it ends: no input is overwritten, nothing half stands under a name, nothing
hidden is left, and whatever goes wrong is told in one line."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import audiodec
from audiodec.adc import decode_file, encode_file
from audiodec.audio_files.writing import create_audio, is_stream, write_audio, write_whole
from audiodec.cli.common import pairs
from audiodec.cli.roundtrip import roundtrip
from audiodec.errors import AudioError
from audiodec.evaluation.picture import may_replace, save_comparison

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
needs_fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 40_000), 16000)
    return path


@pytest.fixture
def adc(small: audiodec.Codec, wav: Path, tmp_path: Path) -> Path:
    path = tmp_path / "a.adc"
    encode_file(str(wav), str(path), codec=small)
    return path


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


def other_names(path: Path) -> list[str]:
    """The same file, named in every other way."""
    folder = path.parent
    (folder / "soft").symlink_to(path)
    (folder / "deep").mkdir()
    os.link(path, folder / "hard.wav")
    return [
        str(path), os.path.relpath(path), str(folder / "deep" / ".." / path.name),
        str(folder / "soft"), str(folder / "hard.wav"), f"{folder}//{path.name}",
    ]  # fmt: skip


def test_the_input_is_never_the_output(small: audiodec.Codec, wav: Path, adc: Path) -> None:
    before, packed = wav.read_bytes(), adc.read_bytes()
    for name in other_names(wav):
        with pytest.raises(AudioError, match="is the input itself"):
            encode_file(str(wav), name, codec=small)
        with pytest.raises(AudioError, match="is the input itself"):
            roundtrip(str(wav), name)
    with pytest.raises(AudioError, match="is the input itself"):
        decode_file(str(adc), str(adc), codec=small)
    assert (wav.read_bytes(), adc.read_bytes()) == (before, packed)
    assert not hidden(wav.parent)


@needs_posix
def test_the_input_as_an_open_file(small: audiodec.Codec, wav: Path) -> None:
    before = wav.read_bytes()
    with wav.open("r+b") as file:
        if not Path(f"/dev/fd/{file.fileno()}").exists():
            pytest.skip("needs /dev/fd")
        with pytest.raises(AudioError, match="is the input itself"):
            encode_file(str(wav), f"/dev/fd/{file.fileno()}", codec=small)
    assert wav.read_bytes() == before


def test_folders_in_place(wav: Path) -> None:
    folder = wav.parent
    for name in (str(folder), f"{folder}/.", os.path.relpath(folder)):
        with pytest.raises(AudioError, match="folder of the inputs"):
            pairs(str(folder), name, {".wav"}, ".adc")
    inside = pairs(str(folder), str(folder / "coded"), {".wav"}, ".adc")
    assert inside == [(str(wav), str(folder / "coded" / "a.adc"))]


def test_a_folder_whose_outputs_are_inputs_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "a.adc").write_bytes(b"1")
    os.link(tmp_path / "in" / "a.adc", tmp_path / "out" / "a.wav")
    with pytest.raises(AudioError, match="is one of the inputs"):
        pairs(str(tmp_path / "in"), str(tmp_path / "out"), {".adc"}, ".wav")


def test_a_picture_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    ours, theirs, text = (tmp_path / n for n in ("ours.png", "theirs.png", "text.png"))
    save_comparison({"noise": np.zeros(4000, np.float32)}, 16000, ours)
    Image.new("RGB", (4, 4)).save(theirs)
    text.write_text("a diary")
    assert may_replace(tmp_path / "none.png")
    assert may_replace(ours)
    assert not may_replace(theirs)
    assert not may_replace(text)


@pytest.mark.slow
def test_roundtrip_beside_an_unrelated_picture(wav: Path, small_folder: Path) -> None:
    picture = wav.with_name("r.png")
    Image.new("RGB", (4, 4)).save(picture)
    before = picture.read_bytes()
    result = run("roundtrip", wav, wav.with_name("r.wav"), "--model", small_folder)
    assert result.returncode == 0, result.stderr
    assert "no picture is drawn" in result.stderr
    assert picture.read_bytes() == before


def test_names_as_long_as_they_can_be(small: audiodec.Codec, wav: Path, tmp_path: Path) -> None:
    longest = "x" * 251 + ".adc"
    encode_file(str(wav), str(tmp_path / longest), codec=small)
    decode_file(str(tmp_path / longest), str(tmp_path / ("y" * 251 + ".wav")), codec=small)
    for name in ("z" * 300 + ".adc", "", "a\0b.adc"):
        with pytest.raises(AudioError, match="cannot be written"):
            encode_file(str(wav), str(tmp_path / name) if name else "", codec=small)
    assert not hidden(tmp_path)


# Full disks and closed pipes


@needs_full
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff"])
def test_a_full_disk_is_one_error(small: audiodec.Codec, wav: Path, adc: Path, suffix: str) -> None:
    link = wav.with_name(f"full.{suffix}")
    link.symlink_to("/dev/full")
    with pytest.raises(AudioError, match="cannot be written: No space left"):
        decode_file(str(adc), str(link), codec=small)
    with pytest.raises(AudioError, match="cannot be written: No space left"):
        encode_file(str(wav), "/dev/full", codec=small)
    assert not hidden(wav.parent)


@needs_posix
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "adc"])
@pytest.mark.parametrize("limit", [0, 5000])
def test_a_size_limit_leaves_nothing(
    small: audiodec.Codec, wav: Path, adc: Path, suffix: str, limit: int, tmp_path: Path
) -> None:
    import resource

    target = tmp_path / f"out.{suffix}"
    target.write_bytes(b"old")
    long = tmp_path / "long.wav"
    soundfile.write(long, np.random.default_rng(0).normal(0, 0.1, 400_000), 16000)
    packed = tmp_path / "long.adc"
    encode_file(str(long), str(packed), codec=small)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        code, source = (encode_file, long) if suffix == "adc" else (decode_file, packed)
        with pytest.raises(AudioError, match="cannot be written: File too large"):
            code(str(source), str(target), codec=small)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert target.read_bytes() == b"old"
    assert not hidden(tmp_path)


@needs_fifo
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", ""])
def test_a_pipe_gets_one_valid_file(
    small: audiodec.Codec, adc: Path, tmp_path: Path, suffix: str
) -> None:
    pipe = tmp_path / (f"pipe.{suffix}" if suffix else "pipe")
    os.mkfifo(pipe)
    got = tmp_path / f"got.{suffix or 'wav'}"
    reader = threading.Thread(target=lambda: got.write_bytes(pipe.read_bytes()))
    reader.start()
    decode_file(str(adc), str(pipe), codec=small)
    reader.join()
    assert soundfile.info(got).frames == 40_000
    assert got.read_bytes().count(b"RIFF") == (suffix in ("wav", ""))
    assert pipe.is_fifo()


@needs_fifo
def test_a_pipe_whose_reader_goes(small: audiodec.Codec, adc: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)

    def read_a_bit() -> None:
        with pipe.open("rb") as file:
            file.read(1)

    reader = threading.Thread(target=read_a_bit)
    reader.start()
    with pytest.raises(AudioError, match="cannot be written: Broken pipe"):
        decode_file(str(adc), str(pipe), codec=small)
    reader.join()


def test_a_plain_file_needs_no_temporary_one(
    small: audiodec.Codec, wav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a read-only system without /tmp."""
    import tempfile

    def none(*args: object, **kwargs: object) -> None:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", none)
    monkeypatch.setattr(tempfile, "gettempdir", none)
    encode_file(str(wav), str(tmp_path / "x.adc"), codec=small)
    decode_file(str(tmp_path / "x.adc"), str(tmp_path / "x.wav"), codec=small)
    assert soundfile.info(tmp_path / "x.wav").frames == 40_000


def test_which_targets_are_streams(tmp_path: Path) -> None:
    for name in ("-", "/dev/stdout", "/dev/fd/63"):
        assert is_stream(name)
    for name in (str(tmp_path / "new.wav"), "/dev/shm/x.wav"):
        assert not is_stream(name)


def test_what_goes_wrong_inside_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "x.wav"
    target.write_bytes(b"old")

    def fail() -> None:
        with (
            write_whole(str(target)) as out,
            create_audio(out, str(target), 16000, 1) as audio,
        ):
            write_audio(audio, np.zeros((1, 5000), np.float32))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_bytes() == b"old"
    assert not hidden(tmp_path)


# The command, from outside


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, **options
    )  # type: ignore[call-overload, no-any-return]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "audiodec", *map(str, arguments)]


def is_one_line(text: str) -> bool:
    return text.startswith("audiodec: error: ") and text.count("\n") == 1


@needs_full
def test_standard_output_on_a_full_disk(adc: Path, small_folder: Path) -> None:
    for arguments in (("decode", adc, "-", "--model", small_folder), ("info", adc, "--json")):
        with open("/dev/full", "wb") as full:
            result = subprocess.run(
                command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert result.returncode == 1
        assert is_one_line(result.stderr), result.stderr


@needs_posix
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_signal_leaves_nothing(number: str, wav: Path, small_folder: Path) -> None:
    """Sent while the output is being written."""
    long = wav.with_name("long.wav")
    soundfile.write(long, np.random.default_rng(0).normal(0, 0.1, 16000 * 3600), 16000)
    target = wav.with_name("out.adc")
    target.write_bytes(b"old")
    process = subprocess.Popen(
        command("encode", long, target, "--beam-width", 64, "--model", small_folder),
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and not hidden(wav.parent):
        time.sleep(0.01)
    process.send_signal(getattr(signal, number))
    _, said = process.communicate()
    assert process.returncode == 128 + getattr(signal, number)
    assert "Traceback" not in said
    assert target.read_bytes() == b"old"
    assert not hidden(wav.parent)


# Kills at random moments


def _jobs(folder: Path, model: Path) -> list[tuple[tuple[object, ...], Callable[[], None]]]:
    """Long-running commands, and what must hold of what lies under their name whenever they end."""
    corpus = folder / "corpus"
    corpus.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 16000 * 20)
    for n in range(12):
        soundfile.write(corpus / f"{n}.wav", noise[n:], 16000)
    soundfile.write(folder / "long.wav", np.tile(noise, 6), 16000)
    subprocess.run(command("encode", folder / "long.wav", folder / "in.adc", "--beam-width", 1,
                           "--model", model), check=True, capture_output=True)  # fmt: skip
    out = folder / "out"

    def adc_is_whole() -> None:
        for path in out.rglob("*.adc"):
            facts = json.loads(run("info", path, "--json").stdout)
            assert facts["damage"] is None

    def sound_is_whole() -> None:
        for path in out.rglob("*.wav"):
            assert soundfile.info(path).frames == 16000 * 120

    def shards_are_whole() -> None:
        from audiodec.tokenization.reading import read_codes

        if (out / "journal.jsonl").exists() and b"\n" in (out / "journal.jsonl").read_bytes():
            list(read_codes(out, model))

    def manifest_is_whole() -> None:
        from audiodec.prepare.manifest import read_manifest

        if (out / "m.csv").exists():
            read_manifest(out / "m.csv")

    def scores_are_whole() -> None:
        import sqlite3

        if (out / "cache.sqlite").exists():
            with sqlite3.connect(out / "cache.sqlite") as database:
                database.execute("pragma integrity_check")

    options = ("--model", model)
    return [
        (("encode", folder / "long.wav", out / "x.adc", "--beam-width", 16, *options),
         adc_is_whole),
        (("encode", corpus, out, "--beam-width", 16, *options), adc_is_whole),
        (("decode", folder / "in.adc", out / "x.wav", *options), sound_is_whole),
        (("roundtrip", folder / "long.wav", out / "r.wav", *options), sound_is_whole),
        (("tokenize", corpus, out, "--shard-size", 0.01, "--format", "webdataset", *options),
         shards_are_whole),
        (("prepare", "folder", corpus, out / "m.csv"), manifest_is_whole),
        (("bench", "quality", corpus, "--out", out, "--codec", "ours", "--metric", "ESTOI",
          *options), scores_are_whole),
    ]  # fmt: skip


def kill_at_random(folder: Path, model: Path, count: int, seed: int) -> int:
    """Returns how many were ended before they were done."""
    source, ended = random.Random(seed), 0
    jobs = _jobs(folder, model)
    signals = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]
    begun = time.monotonic()
    run("--version")
    pace = time.monotonic() - begun  # how long this machine takes to start a command
    for number in range(count):
        arguments, check = jobs[number % len(jobs)]
        shutil.rmtree(folder / "out", ignore_errors=True)
        (folder / "out").mkdir()
        process = subprocess.Popen(
            command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        time.sleep(source.uniform(0.5, 6) * pace)
        sent = source.choice(signals)
        process.send_signal(sent)
        _, said = process.communicate(timeout=300)
        about = f"{arguments[0]} ended by {sent.name}: {said}"
        assert process.returncode in (0, 1, 128 + sent, -sent), about
        assert process.returncode == -sent or "Traceback" not in said, about  # -: at its very start
        ended += process.returncode not in (0, 1)
        assert not hidden(folder / "out"), about
        check()
    return ended


@pytest.mark.slow
@needs_posix
def test_kills_at_random_moments(tmp_path: Path, small_folder: Path) -> None:
    assert kill_at_random(tmp_path, small_folder, 21, seed=0)


@pytest.mark.slow
@needs_posix
def test_full_disks_at_random_moments(small: audiodec.Codec, wav: Path, tmp_path: Path) -> None:
    """A size limit at any byte: the file is whole, or it is not there and one error says so."""
    import resource

    encode_file(str(wav), str(tmp_path / "x.adc"), codec=small)
    source, before = random.Random(0), resource.getrlimit(resource.RLIMIT_FSIZE)
    refused = 0
    for _ in range(300):
        suffix = source.choice(("wav", "flac", "ogg", "aiff", "w64", "caf", "adc"))
        target = tmp_path / f"out.{suffix}"
        target.unlink(missing_ok=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (source.randrange(100_000), before[1]))
        try:
            if suffix == "adc":
                encode_file(str(wav), str(target), codec=small)
            else:
                decode_file(str(tmp_path / "x.adc"), str(target), codec=small)
        except AudioError as error:
            reason = str(error)
        else:
            reason = ""
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        if reason:
            assert "File too large" in reason
            assert not target.exists()
            refused += 1
        else:
            assert suffix == "adc" or soundfile.info(target).frames == 40_000
        assert not hidden(tmp_path)
    assert 0 < refused < 300
