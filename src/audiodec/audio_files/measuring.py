"""How long a sound file is, and what is missing: the same answer for everybody who asks."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from typing import BinaryIO

from audiodec.audio_files.decoding import PIECE_SAMPLES, Stream, open_stream
from audiodec.audio_files.finding import Finding
from audiodec.audio_files.headers import claimed_samples
from audiodec.audio_files.inspection import inspect
from audiodec.audio_files.names import printable
from audiodec.errors import AudioError
from audiodec.resampling import MAX_RATE, MIN_RATE

ENDLESS_SAMPLES = 1 << 60  # samples; libsndfile's word for a length it does not know is above
MAX_REMEMBERED_FILES = 4096  # files whose length is kept in memory
UNCOUNTED = {"ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32"}  # counted from headers only


@dataclass(frozen=True)
class Facts:
    """What is known of a file before it is read.

    Attributes:
        rate: Hz.
        samples: per channel, that can be read.
        missing_seconds: that its header claims beside them.
        warnings: lines that say what is wrong with it.
    """

    rate: int
    channels: int
    samples: int
    missing_seconds: float
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


@dataclass(frozen=True)
class Measured:
    """A file that has been looked at: samples of each link, and their sum in `facts`."""

    finding: Finding
    lengths: tuple[int, ...]
    facts: Facts


_known: OrderedDict[tuple[int, ...], Measured] = OrderedDict()  # by file, while it is unchanged


def measured(name: str, file: BinaryIO) -> Measured:
    """Look at a file, or remember how it looked if it has not changed. Raises AudioError."""
    status = os.fstat(file.fileno())
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if key not in _known:
        if not status.st_size:
            raise AudioError(f"{printable(name)} is empty: it has no bytes")
        try:
            _known[key] = _measure(name, file, status.st_size)
        except OSError as error:
            raise AudioError(f"{printable(name)} cannot be read: {error.strerror}") from None
        while len(_known) > MAX_REMEMBERED_FILES:
            _known.popitem(last=False)
    return _known[key]


def _measure(name: str, file: BinaryIO, size: int) -> Measured:
    finding = inspect(file, size)
    if finding.refused:
        raise AudioError(f"{printable(name)} {finding.refused}")
    file.seek(0)
    start = file.read(1024)
    shown, lengths, claimed = printable(name), list[int](), 0
    remarks = [*finding.remarks]
    rate = channels = 0
    for parts in finding.links:
        try:
            stream = open_stream(name, file, parts)
        except AudioError:
            if not lengths:
                raise
            remarks.append("what follows its first sound cannot be read and is left out")
            break
        with stream:
            if not MIN_RATE <= stream.samplerate <= MAX_RATE:
                raise AudioError(f"{shown} claims a sample rate of {stream.samplerate} Hz")
            if lengths and (stream.samplerate, stream.channels) != (rate, channels):
                remarks.append("a sound of another rate or channel count follows and is left out")
                break
            rate, channels = stream.samplerate, stream.channels
            says = stream.frames if 0 <= stream.frames < ENDLESS_SAMPLES else 0
            length = says if _counted_right(stream, finding) else _count(stream)
            lengths.append(length)
            claimed += max(length, claimed_samples(stream, start), round(says * finding.claimed))
    samples = sum(lengths)
    claimed = max(claimed, finding.promised)
    if claimed > samples:
        remarks.append(
            f"it holds {samples / rate:.2f} s of the {claimed / rate:.2f} s that its header "
            "claims; the rest is missing"
        )
    warnings = tuple(f"{shown}: {remark}" for remark in remarks)
    facts = Facts(rate, channels, samples, (claimed - samples) / rate, warnings)
    return Measured(finding, tuple(lengths), facts)


def _counted_right(stream: Stream, finding: Finding) -> bool:
    return (
        finding.trusted and 0 <= stream.frames < ENDLESS_SAMPLES and stream.subtype not in UNCOUNTED
        and stream.format not in UNCOUNTED
    )  # fmt: skip


def _count(stream: Stream) -> int:
    total = 0
    while length := len(stream.some(PIECE_SAMPLES)):
        total += length
    return total
