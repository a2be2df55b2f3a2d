"""What goes out: no input is overwritten, nothing half stands under a name, nothing hidden is left,
and whatever goes wrong is told in one line."""

from __future__ import annotations

import os
import threading
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
from tests.ending_tools import (
    hidden,
    needs_fifo,
    needs_full,
    needs_posix,
    run,
)


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
