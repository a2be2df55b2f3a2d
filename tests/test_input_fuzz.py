"""Every container and codec that libsndfile writes, broken in every way, through every command.

PyAV is the second opinion on the length. For each input the door must agree with it, warn, or
refuse in one line; every command must say what the door says. Never a traceback, never silence
about a loss. `AUDIODEC_FUZZ` sets how many inputs are made (a few minutes' worth if it is not set),
`AUDIODEC_FUZZ_SEED` which.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec.adc import encode_file
from audiodec.audio_files.reading import describe_audio, open_audio
from audiodec.errors import AudioDecError, AudioError
from audiodec.evaluation.listening.create import create
from audiodec.evaluation.quality.clips import read_clip
from audiodec.prepare.corpora import folder as folder_corpus
from audiodec.prepare.manifest import make_manifest
from audiodec.sound.voices import file_source
from audiodec.tokenization.coding import Failure, Job, Tokenizer
from audiodec.tokenization.listing import File
from audiodec.training.data import find_clips
from audiodec.training.recipe import Source
from tests.broken_sound import RATE, SECONDS, coded

av = pytest.importorskip("av")

INPUTS = int(os.environ.get("AUDIODEC_FUZZ", "1000"))
SEED = int(os.environ.get("AUDIODEC_FUZZ_SEED", "0"))
EVERY = 25  # inputs, of which one goes through the commands, too
SLACK = 0.3  # seconds: bytes taken for tags, and frames at joints, in which decoders differ
# Formats with no length in the header: that something is missing cannot be known.
LENGTHLESS = {"PAF", "PVF", "IRCAM", "XI"}
# RAW has no header; SD2 leaves a file `._` in the current folder, and while it is there libsndfile
# takes every MP3 without a name for SD2.
UNSUITABLE = {"RAW", "SD2"}


def formats() -> list[tuple[str, str, int]]:
    """(container, codec, channels) of all that can be written."""
    found = []
    for kind in soundfile.available_formats().keys() - UNSUITABLE:
        for subtype in soundfile.available_subtypes(kind):
            for channels in (1, 2):
                with contextlib.suppress(Exception):  # soundfile raises this and that
                    coded(kind, subtype, channels)
                    found.append((kind, subtype, channels))
    return sorted(found)


def second_opinion(data: bytes) -> float | None:
    """Seconds that PyAV decodes; None if it refuses, or gives up before the end."""
    total = 0.0
    try:
        with av.open(io.BytesIO(data)) as container:
            for frame in container.decode(audio=0):
                total += frame.samples / frame.sample_rate
    except (OSError, ValueError, IndexError, av.error.FFmpegError):
        return None
    return total


def broken(
    whole: list[tuple[str, bytes]], random: np.random.Generator
) -> Iterator[tuple[str, str, bytes]]:
    """(kind, how, bytes) without an end."""
    while True:
        kind, data = whole[int(random.integers(len(whole)))]
        how = str(random.choice(
            ["whole", "cut", "lie", "splice", "join", "junk behind", "junk before", "bytes",
             "zeros", "drop", "other"]
        ))  # fmt: skip
        size, at = len(data), int(random.integers(1, len(data)))
        made = bytearray(data)
        if how == "cut":
            made = made[:at]
        elif how == "lie":  # a length field somewhere in the header
            at, width = int(random.integers(4, min(200, size))), int(random.choice([1, 2, 4, 8]))
            value = int(random.choice([0, 1, 255, 0x7FFF_FFFF, 0xFFFF_FFFF, size // 3, 2 * size]))
            order = "little" if random.random() < 0.5 else "big"
            made[at : at + width] = (value & 256**width - 1).to_bytes(width, order)
        elif how == "splice":
            made = made[:at] + made[int(random.integers(at, size)) :]
        elif how == "join":
            made = made + made
        elif how == "junk behind":
            made += random.bytes(int(random.integers(1, 20_000)))
        elif how == "junk before":
            made = bytearray(random.bytes(int(random.integers(1, 2000)))) + made
        elif how == "bytes":
            for place in random.integers(0, size, int(random.integers(1, 20))):
                made[place] = int(random.integers(256))
        elif how == "zeros":
            end = min(size, at + int(random.integers(1, 6000)))
            made[at:end] = bytes(end - at)
        elif how == "drop":
            del made[at : at + int(random.integers(1, 3000))]
        elif how == "other":
            made += whole[int(random.integers(len(whole)))][1]
        yield kind, how, bytes(made)


def verdict(path: Path, kind: str, how: str, data: bytes) -> str:
    """`agree`, `warn` or `refuse`; fails where the door is silent about a loss."""
    refusal = None
    try:
        with open_audio(str(path)) as audio:
            samples = 0
            while len(piece := audio.read(4096)):
                assert np.all(np.isfinite(piece))
                samples += len(piece)
            assert samples == audio.samples
            warnings, missing = audio.warnings, audio.missing_seconds
    except AudioError as error:
        refusal = str(error)
    if refusal is not None:
        assert "\n" not in refusal
        return "refuse"
    assert all("\n" not in line for line in warnings)
    if warnings:
        return "warn"
    assert missing == 0
    other = second_opinion(data)
    if other is None or kind in LENGTHLESS:
        return "agree" if how == "whole" else "alone"
    assert samples / audio.rate >= other - SLACK, f"no word on {other - samples / audio.rate} s"
    return "agree"


def everywhere(path: Path, small: audiodec.Codec, tokenizer: Tokenizer, folder: Path) -> None:
    """All commands must have the door's length, or refuse as it does."""
    try:
        facts = describe_audio(str(path))
        length = facts.samples
    except AudioError:
        length = 0
    rows, problems = make_manifest(folder_corpus(path.parent).recordings, folder / "m.csv")
    assert [row.frames for row in rows] == ([length] if length else [])
    assert len(problems.left_out) == (0 if length else 1)
    (folder / "m.csv").unlink()
    outcome = tokenizer(File(0, path.name, "", "", str(path)))
    if isinstance(outcome, Failure):
        assert not length or "channels" in outcome.reason
    else:
        assert outcome.original_samples == length
    with contextlib.suppress(AudioDecError):
        result = encode_file(str(path), str(folder / "o.adc"), codec=small)
        assert result.samples == length
        assert result.warnings[: len(facts.warnings)] == facts.warnings
    with contextlib.suppress(AudioDecError):
        assert len(read_clip(path)) == pytest.approx(length * 48000 / facts.rate, abs=2)
    with contextlib.suppress(AudioDecError):
        (clip,) = find_clips(Source(path=str(path.parent)), 0)
        assert clip.length == length
    with contextlib.suppress(AudioDecError), file_source(str(path), 16000) as source:
        while source.read(1600) is not None:
            pass
    with contextlib.suppress(AudioDecError):
        create(folder / "test", "mos", "t", {"one": path.parent}, None)


@pytest.mark.slow
def test_broken_sound(small: audiodec.Codec, small_folder: Path, tmp_path: Path) -> None:
    whole = [(f"{kind}", coded(kind, subtype, channels)) for kind, subtype, channels in formats()]
    assert len(whole) > 200
    random = np.random.default_rng(SEED)
    tokenizer = Tokenizer(Job(str(small_folder), small.info.files["weights.safetensors"], 1, 1))
    counts: Counter[str] = Counter()
    folder, findings = tmp_path / "in", []
    folder.mkdir()
    for number, (kind, how, data) in zip(range(INPUTS), broken(whole, random), strict=False):
        path = folder / "a.wav"
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        try:
            counts[verdict(path, kind, how, data)] += 1
            if number % EVERY == 0:
                everywhere(path, small, tokenizer, tmp_path / f"{number}")
        except Exception as error:
            findings.append(f"input {number}: {kind}, {how}: {type(error).__name__}: {error}")
            (tmp_path / f"finding{number}").write_bytes(data)
    print(f"{INPUTS} inputs: {dict(counts)}, {len(findings)} findings")
    assert not findings, "\n".join(findings[:40])
    assert all(counts[name] for name in ("agree", "warn", "refuse"))


def test_every_format_comes_back_whole(tmp_path: Path) -> None:
    for kind, subtype, channels in formats():
        path = tmp_path / "a"
        path.write_bytes(coded(kind, subtype, channels))
        with open_audio(str(path)) as audio:
            assert audio.warnings == (), (kind, subtype)
            assert RATE * SECONDS <= audio.samples <= RATE * SECONDS + 1024, (kind, subtype)


def test_what_libsndfile_does_not_read_is_refused(tmp_path: Path) -> None:
    for container, codec in (("mp4", "aac"), ("adts", "aac"), ("matroska", "libopus")):
        path = tmp_path / f"a.{container}"
        with av.open(str(path), "w", format=container) as out:
            stream = out.add_stream(codec, rate=48000)
            silence = np.zeros((1, 48000), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, "fltp", "mono")
            frame.rate = 48000
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        with pytest.raises(AudioError, match="not audio that can be read"):
            describe_audio(str(path))
