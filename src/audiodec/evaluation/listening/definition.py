"""What a listening test is: a folder of anonymous clips and the `test.json` that explains them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from audiodec.config import config, from_json, to_data
from audiodec.errors import ConfigError

REFERENCE = "reference"  # the unprocessed recording, also hidden among the stimuli
LOW_ANCHOR = "anchor 3.5 kHz"
MID_ANCHOR = "anchor 7 kHz"
ANCHORS = {LOW_ANCHOR: 3500, MID_ANCHOR: 7000}  # low-pass, Hz
# ITU-R BS.1534-3: no more than 12 signals in a trial, reference and anchors counted.
MAX_STIMULI = 12
MAX_CLIPS = 1000
MAX_RATE = 192000  # Hz
MAX_TRIALS = 2000  # of one listener
MAX_JSON = 8 << 20  # bytes

Method = Literal["mushra", "mos", "abx"]
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]+$")]
FileName = Annotated[str, Field(pattern=r"^[0-9a-f]{16}\.flac$")]


@config
class Clip:
    """One passage of sound, through every system."""

    name: Name
    files: dict[Name, FileName]  # by system


@config
class Test:
    """A listening test: its clips, systems, questions and screening.

    `mushra`: every system of a clip beside the others, 0 to 100 (ITU-R BS.1534-3).
    `mos`: one stimulus at a time, 1 to 5 (absolute category rating, ITU-T P.800).
    `abx`: is X the same as A or as B? With a reference, every system against it, else all pairs.
    """

    __test__ = False  # no test case of pytest

    method: Method
    title: Annotated[str, Field(min_length=1, max_length=200)]
    seed: Annotated[int, Field(ge=0)]  # of all orders
    rate: Annotated[int, Field(ge=8000, le=MAX_RATE)]  # Hz, of every file
    systems: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]
    clips: Annotated[tuple[Clip, ...], Field(min_length=1, max_length=MAX_CLIPS)]

    def __post_init__(self) -> None:
        if len(set(self.systems)) < len(self.systems):
            raise ValueError("two systems have the same name")
        if len({clip.name for clip in self.clips}) < len(self.clips):
            raise ValueError("two clips have the same name")
        for clip in self.clips:
            if set(clip.files) != set(self.systems):
                raise ValueError(f"clip {clip.name} does not have exactly the test's systems")
        if self.method == "mushra":
            if not {REFERENCE, *ANCHORS} < set(self.systems):
                raise ValueError("MUSHRA needs the reference, both anchors and a system")
            if len(self.systems) > MAX_STIMULI:
                raise ValueError(
                    f"{len(self.systems)} stimuli in a trial, with reference and anchors; "
                    f"BS.1534-3 allows {MAX_STIMULI}: leave systems out"
                )
        if self.method == "abx" and len(self.systems) < 2:
            raise ValueError("ABX needs two systems, or a system and the reference")
        if len(self.conditions) * len(self.clips) > MAX_TRIALS:
            raise ValueError(
                f"{len(self.conditions) * len(self.clips)} trials for every listener; leave clips "
                f"or systems out, to {MAX_TRIALS} at most"
            )

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What is compared: in ABX with a reference every system with it, else all pairs.

        Anchors are there to be heard, not to be compared.
        """
        names = [name for name in self.systems if name not in ANCHORS]
        if self.method == "abx" and REFERENCE in names:
            return [(name, REFERENCE) for name in names if name != REFERENCE]
        return list(combinations(names, 2))

    @property
    def conditions(self) -> Sequence[tuple[str, str] | str | None]:
        """What each clip is heard under, a trial each: pairs, single systems, or all at once."""
        if self.method == "mushra":
            return [None]
        return self.pairs if self.method == "abx" else self.systems

    @property
    def digest(self) -> str:
        """Of everything above: answers belong to exactly this test."""
        text = json.dumps(to_data(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load_test(folder: Path) -> Test:
    """Load a test. Raises ConfigError when the folder holds none, or its files are missing."""
    path = folder / "test.json"
    if not path.is_file():
        raise ConfigError(f"{folder} holds no test.json: make one with `audiodec listen create`")
    if path.stat().st_size > MAX_JSON:
        raise ConfigError(f"{path} is larger than any test")
    test = from_json(Test, path)
    for clip in test.clips:
        for name in clip.files.values():
            if not (folder / name).is_file():
                raise ConfigError(f"{folder / name} is missing: copy the whole test folder")
    return test


def save_test(test: Test, folder: Path) -> None:
    """Write `test.json` into the folder of a test."""
    (folder / "test.json").write_text(json.dumps(to_data(test), indent=1) + "\n", encoding="utf-8")
