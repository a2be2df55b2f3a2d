"""What comes in: every command reads sound through one door, which knows when a length lies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import audiodec
from audiodec.adc import encode_file
from audiodec.audio_files import measuring
from audiodec.audio_files.reading import describe_audio, open_audio, read_audio
from audiodec.cli.main import app
from audiodec.errors import AudioDecError, AudioError
from audiodec.evaluation.quality.clips import find_clips as bench_clips
from audiodec.evaluation.quality.clips import read_clip
from audiodec.prepare.corpora import folder as folder_corpus
from audiodec.prepare.manifest import make_manifest
from audiodec.sound.voices import file_source
from audiodec.tokenization.coding import Job, Tokenizer, Tokens
from audiodec.tokenization.listing import read_list
from audiodec.training.data import find_clips
from audiodec.training.recipe import Source
from tests.broken_sound import RATE, SECONDS, coded, frames_of_mp3, with_flac_total, without_tag

SAMPLES = RATE * SECONDS


def measured(path: Path) -> tuple[int, tuple[str, ...]]:
    """Samples that the door gives, which must be what it promises, and its warnings."""
    with open_audio(str(path)) as audio:
        total = 0
        while len(piece := audio.read(1000)):
            total += len(piece)
        assert total == audio.samples
        return total, audio.warnings


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def wav_with_size(size: int) -> bytes:
    data = coded("WAV")
    at = data.index(b"data") + 4
    return data[:at] + size.to_bytes(4, "little") + data[at + 4 :]


def caf_with_size(size: int) -> bytes:
    data = coded("CAF")
    at = data.index(b"data") + 4
    return data[:at] + size.to_bytes(8, "big", signed=True) + data[at + 8 :]


WHOLE: dict[str, Callable[[], bytes]] = {
    "a variable rate and no Xing tag": lambda: without_tag(coded("MP3")),
    "ID3 whose length lies": lambda: b"ID3garbage" + without_tag(coded("MP3")),
    "ID3 before FLAC": lambda: b"ID3\3\0\0\0\0\0\x14" + bytes(20) + coded("FLAC"),
    "ID3 behind FLAC": lambda: coded("FLAC") + b"TAG" + bytes(125),
    "FLAC of unknown length": lambda: with_flac_total(coded("FLAC"), 0),
    "FLAC that claims less than it holds": lambda: with_flac_total(coded("FLAC"), 1000),
    "WAV of a killed recorder": lambda: wav_with_size(0),
    "WAV of ffmpeg into a pipe": lambda: wav_with_size(0xFFFF_FFFF),
    "WAV of sox into a pipe": lambda: wav_with_size(0x7FFF_F000),
    "CAF that ends with the file": lambda: caf_with_size(-1),
}


@pytest.mark.parametrize("name", WHOLE)
def test_all_is_read_whatever_the_header_says(name: str, tmp_path: Path) -> None:
    samples, warnings = measured(written(tmp_path / "a", WHOLE[name]()))
    slack = 1152 if "Xing" in name or "lies" in name else 0  # the encoder's delay, without a tag
    assert SAMPLES <= samples <= SAMPLES + slack
    assert warnings == ()


@pytest.mark.parametrize(
    "kind", ["WAV", "WAVEX", "AIFF", "CAF", "W64", "RF64", "AU", "SVX", "VOC", "NIST", "AVR",
             "MPC2K", "MAT4", "MAT5", "FLAC", "MP3"],
)  # fmt: skip
def test_what_is_cut_off_is_told(kind: str, tmp_path: Path) -> None:
    data = coded(kind)
    path = written(tmp_path / "a", data[: len(data) // 2])
    samples, warnings = measured(path)
    assert 0.3 * SAMPLES < samples < 0.7 * SAMPLES
    assert any("header claims; the rest is missing" in line for line in warnings)
    missing = describe_audio(str(path)).missing_seconds
    assert missing == pytest.approx((SAMPLES - samples) / RATE, abs=0.2)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_cannot_tell_how_much_is_missing_but_that_it_is_cut(
    subtype: str, tmp_path: Path
) -> None:
    data = coded("OGG", subtype)
    for end in (len(data) // 2, data.rindex(b"OggS")):  # in a page, and between two
        _, warnings = measured(written(tmp_path / f"{end}", data + data[:end]))
        assert any("cut off or damaged" in line for line in warnings)


def test_an_mp3_without_a_tag_that_is_cut_off(tmp_path: Path) -> None:
    data = without_tag(coded("MP3"))
    _, (warning,) = measured(written(tmp_path / "a", data[: len(data) // 2]))
    assert "cut off in the middle of a frame" in warning


@pytest.mark.parametrize("kind", ["VORBIS", "OPUS", "FLAC"])
def test_streams_one_after_the_other_are_all_read(kind: str, tmp_path: Path) -> None:
    data = coded("FLAC") if kind == "FLAC" else coded("OGG", kind)
    path = written(tmp_path / "a", data + data + data)
    assert measured(path) == (3 * SAMPLES, ())
    sound = read_audio(str(path)).samples
    np.testing.assert_array_equal(sound[:SAMPLES], sound[SAMPLES : 2 * SAMPLES])
    with open_audio(str(path)) as audio:
        audio.seek(2 * SAMPLES + 77)
        np.testing.assert_allclose(audio.read(500), sound[77:577], atol=1e-3)


def test_one_mp3_behind_another(tmp_path: Path) -> None:
    samples, _ = measured(written(tmp_path / "a", coded("MP3") + coded("MP3")))
    assert samples == pytest.approx(2 * SAMPLES, abs=2 * 1152)


def test_what_follows_a_wav_is_told(tmp_path: Path) -> None:
    samples, (warning,) = measured(written(tmp_path / "a", 2 * coded("WAV")))
    assert samples == SAMPLES
    assert "bytes behind its end are left out" in warning


def test_damage_in_the_middle_of_flac_is_silent_and_the_rest_in_place(tmp_path: Path) -> None:
    data = bytearray(coded("FLAC"))
    data[len(data) // 2 : len(data) // 2 + 30] = bytes(30)
    path = written(tmp_path / "a", bytes(data))
    assert describe_audio(str(path)).samples == SAMPLES
    samples, (warning,) = measured(path)
    assert samples == SAMPLES
    assert "cannot be decoded and are silent" in warning
    whole = read_audio(str(written(tmp_path / "b", coded("FLAC")))).samples
    differs = np.flatnonzero((read_audio(str(path)).samples != whole)[:, 0])
    assert 0 < differs[-1] - differs[0] < 3 * 4096


def test_junk_between_the_frames_of_an_mp3(tmp_path: Path) -> None:
    data = coded("MP3")
    middle = frames_of_mp3(data)[len(frames_of_mp3(data)) // 2]
    samples, (warning,) = measured(
        written(tmp_path / "a", data[:middle] + bytes(5000) + data[middle:])
    )
    assert samples == pytest.approx(SAMPLES, abs=2 * 1152)
    assert "5000 damaged bytes" in warning


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "is empty"), (b"no sound\n" * 500, "not audio"), (b"RIFF\0\0\0\0WAVE", "not audio")],
)
def test_what_is_no_sound_is_refused_in_one_line(data: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=reason) as caught:
        measured(written(tmp_path / "a.wav", data))
    assert "\n" not in str(caught.value)


# Everybody agrees


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder of files whose headers lie, one of them cut off."""
    folder = tmp_path / "broken"
    folder.mkdir()
    written(folder / "flac.flac", with_flac_total(coded("FLAC"), 0))
    written(folder / "mp3.mp3", without_tag(coded("MP3")))
    written(folder / "ogg.ogg", 2 * coded("OGG", "VORBIS"))
    written(folder / "wav.wav", wav_with_size(0))
    written(folder / "cut.flac", coded("FLAC")[:20000])
    return folder


def test_every_command_agrees_on_the_length(
    small: audiodec.Codec, small_folder: Path, broken: Path, tmp_path: Path
) -> None:
    truth = {path.name: measured(path)[0] for path in broken.iterdir()}
    rows, problems = make_manifest(folder_corpus(broken).recordings, tmp_path / "m.csv")
    assert {row.path.rpartition("/")[2]: row.frames for row in rows} == truth
    assert len(problems.warnings) == 1
    assert "cut.flac" in problems.warnings[0]
    assert problems.missing_seconds > 1
    clips = find_clips(Source(path=str(broken)), 0.1)
    assert {clip.path.name: clip.length for clip in clips} == truth
    tokenizer = Tokenizer(Job(str(small_folder), small.info.files["weights.safetensors"], 1, 1))
    for file in read_list(broken)[0]:
        outcome = tokenizer(file)
        assert isinstance(outcome, Tokens)
        assert outcome.original_samples == truth[file.path]
        assert bool(outcome.warnings) == (file.path == "cut.flac")
    for clip in bench_clips([broken]):
        assert len(read_clip(clip.path)) == pytest.approx(
            truth[clip.path.name] * 48000 / RATE, abs=2
        )
    for name, samples in truth.items():
        result = encode_file(str(broken / name), str(tmp_path / "out.adc"), codec=small)
        assert result.samples == samples
        assert bool(result.warnings) == (name == "cut.flac")
        assert (result.missing_seconds > 1) == (name == "cut.flac")
        with file_source(str(broken / name), RATE) as source:
            heard = 0
            while source.read(1000) is not None:
                heard += 1000
            assert 0 <= heard - samples < 1000
            assert bool(source.warnings) == (name == "cut.flac")


def run(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)
    assert result.exception is None or isinstance(result.exception, (SystemExit, AudioDecError)), (
        result.exception
    )
    said = f"{result.exception}" if isinstance(result.exception, AudioDecError) else ""
    return result.exit_code, result.stdout, result.stderr + said


def test_encode_tells_what_is_missing(small_folder: Path, broken: Path, tmp_path: Path) -> None:
    code, out, told = run(
        "encode", broken, tmp_path / "out", "--model", small_folder, "--json", "--beam-width", 1
    )
    assert code == 0
    facts = {Path(one["input"]).name: one for one in json.loads(out)}
    assert facts["cut.flac"]["missing_seconds"] > 1
    assert len(facts["cut.flac"]["warnings"]) == 1
    assert facts["wav.wav"]["missing_seconds"] == 0
    assert facts["wav.wav"]["warnings"] == []
    assert told.count("warning:") == 1


def test_prepare_tells_what_is_missing(broken: Path, tmp_path: Path) -> None:
    code, out, told = run("prepare", "folder", broken, tmp_path / "m.csv", "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["recordings"] == 5
    assert facts["missing_seconds"] > 1
    assert told.count("warning:") == len(facts["warnings"]) == 1


def test_a_name_read_again_after_it_has_changed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", coded("WAV"))
    assert describe_audio(str(path)).samples == SAMPLES
    soundfile.write(path, np.zeros(5), RATE)
    assert describe_audio(str(path)).samples == 5


def test_the_memory_of_lengths_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MAX_REMEMBERED_FILES", 3)
    for number in range(8):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.zeros(number + 1), RATE)
        assert describe_audio(str(path)).samples == number + 1
    assert len(measuring._known) <= 3
