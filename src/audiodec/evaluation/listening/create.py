"""Making a test folder from the outputs of systems."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import soxr

from audiodec.audio_files.folder import list_folder
from audiodec.audio_files.reading import describe_audio, read_audio
from audiodec.audio_files.writing import PART, create_audio, write_audio, write_whole
from audiodec.config import from_data
from audiodec.errors import AudioError, ConfigError
from audiodec.evaluation.listening.definition import (
    ANCHORS,
    MAX_CLIPS,
    MAX_RATE,
    REFERENCE,
    Clip,
    Method,
    Test,
    save_test,
)
from audiodec.evaluation.listening.stimuli import MAX_CLIP_S, Sound, equalise, fit, low_pass

Files = dict[str, Path]  # by the name of the clip: its path in the folder, without suffix


def create(
    out: Path,
    method: Method,
    title: str,
    systems: Mapping[str, Path],
    reference: Path | None,
    seed: int = 0,
    advance: Callable[[str], None] = lambda clip: None,
) -> tuple[Test, list[str]]:
    """Write a test: `test.json` and FLAC clips of 24 bits under names that betray nothing.

    Every clip of the reference (or of the first system) takes part, and every system must have it.

    Args:
        out: folder to make; it appears when it is complete.
        systems: folders by name.
        reference: folder of the unprocessed recordings; MUSHRA needs it.
        seed: of all orders.
        advance: called before each clip.

    Returns:
        the test, and remarks on what was corrected.

    Raises:
        ConfigError: the systems do not make a test.
        AudioError: a clip cannot be used.
    """
    if out.exists():
        raise ConfigError(f"{out} exists: choose another name, answers belong to one test")
    if reserved := {REFERENCE, *ANCHORS} & systems.keys():
        raise ConfigError(f"a system cannot be called {min(reserved)!r}: that is the test's own")
    if method == "mushra" and reference is None:
        raise ConfigError("MUSHRA needs a reference: give --reference FOLDER")
    folders = ({REFERENCE: reference} if reference else {}) | dict(systems)
    if not folders:
        raise ConfigError("no systems: give --system NAME=FOLDER or --systems FOLDER")
    remarks: list[str] = []
    found = {name: _clips(folder, remarks) for name, folder in folders.items()}
    first = next(iter(found))
    for name, files in found.items():
        if missing := found[first].keys() - files.keys():
            raise ConfigError(f"{folders[name]} has no {min(missing)}, which {first} has")
    names = (*found, *(ANCHORS if method == "mushra" else ()))
    clips = [
        Clip(name=clip, files={name: _anonymous(seed, clip, name) for name in names})
        for clip in sorted(found[first])
    ]
    settings = {
        "method": method, "title": title, "seed": seed, "systems": names, "clips": clips,
        "rate": describe_audio(str(found[first][clips[0].name])).rate,
    }  # fmt: skip
    test = from_data(Test, settings, "this test")
    # Where each system is rated on its own, only rate and level have to be those of the others.
    like_first = reference is not None or method == "abx"
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=PART, dir=out.parent))
    try:
        for clip in clips:
            advance(clip.name)
            paths = {name: files[clip.name] for name, files in found.items()}
            remarks += _write_clip(clip, paths, work, test, like_first)
        save_test(test, work)
        work.chmod(0o755)
        os.rename(work, out)
    except BaseException:
        shutil.rmtree(work)
        raise
    return test, remarks


def _write_clip(
    clip: Clip, paths: Mapping[str, Path], folder: Path, test: Test, like_first: bool
) -> list[str]:
    """Write every version of a clip; return what was corrected."""
    sounds, remarks = _sounds(paths, test.rate, like_first)
    for name in test.systems[len(sounds) :]:
        sounds[name] = low_pass(sounds[REFERENCE], test.rate, ANCHORS[name])
    try:
        sounds = equalise(sounds, test.rate)
    except AudioError as error:
        raise AudioError(f"clip {clip.name}: {error}") from None
    for name, sound in sounds.items():
        path, signal = str(folder / clip.files[name]), np.asarray(sound, np.float32).T
        with (
            write_whole(path) as out,
            create_audio(out, path, test.rate, len(signal), "PCM_24") as audio,
        ):
            write_audio(audio, signal)
    return remarks


def _clips(folder: Path, remarks: list[str]) -> Files:
    """List the files of a folder; what is passed over becomes a remark.

    Raises:
        ConfigError: the folder holds no audio, or too much.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder")
    files: Files = {}
    listing = list_folder(folder)
    for path in listing.files:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise ConfigError(f"{folder} has two files for clip {name}")
        files[name] = path
    remarks += (f"left out: {line}" for line in listing.left_out)
    if not files:
        raise ConfigError(f"{folder} holds no audio files")
    if len(files) > MAX_CLIPS:
        raise ConfigError(f"{folder} holds {len(files)} clips; a test takes {MAX_CLIPS} at most")
    return files


def _read(path: Path, remarks: list[str]) -> tuple[Sound, int]:
    facts = describe_audio(str(path))
    if facts.seconds > MAX_CLIP_S:
        raise AudioError(f"{path} is longer than {MAX_CLIP_S:g} s; listeners do best with 10 s")
    if facts.channels > 2 or facts.rate > MAX_RATE:
        raise AudioError(f"{path} is neither mono nor stereo at {MAX_RATE} Hz or less")
    if not facts.samples:
        raise AudioError(f"{path} holds no audio")
    sound = read_audio(str(path))
    remarks += sound.warnings
    return sound.samples.astype(np.float64), sound.rate


def _sounds(
    paths: Mapping[str, Path], rate: int, like_first: bool
) -> tuple[dict[str, Sound], list[str]]:
    """One clip of every system at `rate`, and what was corrected to make it like the first."""
    sounds: dict[str, Sound] = {}
    remarks: list[str] = []
    for name, path in paths.items():
        sound, own_rate = _read(path, remarks)
        if own_rate != rate:
            sound = np.asarray(soxr.resample(sound, own_rate, rate))
        if like_first and sounds:
            try:
                sound, lag = fit(sound, next(iter(sounds.values())), rate)
            except AudioError as error:
                raise AudioError(f"{path} {error}") from None
            if lag:
                late = "late" if lag > 0 else "early"
                remarks.append(f"{path} was {1000 * abs(lag):.0f} ms {late}; corrected")
        sounds[name] = sound
    return sounds, remarks


def _anonymous(seed: int, clip: str, system: str) -> str:
    return hashlib.sha256(f"{seed}/{clip}/{system}".encode()).hexdigest()[:16] + ".flac"
