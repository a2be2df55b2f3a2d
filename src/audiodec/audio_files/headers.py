"""Samples that headers of the older formats claim; libsndfile trusts the file's size instead."""

from __future__ import annotations

import re

import soundfile

# By format, of what libsndfile notes while it reads the header: (claimed, there) in any unit.
RATIOS = {
    "AU": r"Data Size +: (?P<claimed>\d+) \(should be (?P<there>\d+)\)",
    "WVE": r"Data length (?P<claimed>\d+) should be (?P<there>\d+)",
    "MAT4": r"truncated\. (?P<there>\d+) <--> (?P<claimed>\d+)",
}
COUNTS = dict.fromkeys(("AVR", "MPC2K"), r"^\s*Frames +: (\d+)")  # samples
BYTES = {"MAT5": r"Type : \d+ +Size : (\d+)\s*\n\s*Data type", "VOC": r"(?:II|Data) : (\d+)"}
WIDTHS = {"PCM_U8": 1, "ALAW": 1, "ULAW": 1, "PCM_16": 2, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
VOC_HEAD_BYTES = 12  # bytes of a block before its samples
NIST = rb"sample_count -i (\d+)"
UNKNOWN_LENGTH = 0xFFFF_FFFF  # AU's length of what goes through a pipe


def claimed_samples(audio: soundfile.SoundFile, start: bytes) -> int:
    """Read how many samples per channel a header claims; 0 if nothing that libsndfile has not
    looked at.

    Args:
        start: the first bytes of the file.
    """
    kind = audio.format
    if kind == "NIST" and (found := re.search(NIST, start)):
        return int(found[1])
    log = audio.extra_info if kind in RATIOS | COUNTS | BYTES else ""
    if kind in RATIOS and (ratio := re.search(RATIOS[kind], log)):
        claimed, there = int(ratio["claimed"]), int(ratio["there"])
        return 0 if claimed == UNKNOWN_LENGTH else int(audio.frames) * claimed // max(1, there)
    if kind in COUNTS and (count := re.search(COUNTS[kind], log, re.MULTILINE)):
        return int(count[1])
    if kind in BYTES and (size := re.search(BYTES[kind], log)):
        head = VOC_HEAD_BYTES if kind == "VOC" else 0
        width = WIDTHS.get(audio.subtype, 8) * int(audio.channels)
        return max(0, int(size[1]) - head) // width
    return 0
