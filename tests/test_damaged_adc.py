"""`.adc` files with bytes changed, cut out, put in, cut off or appended: what is whole is decoded
in its place, gaps last as long as what was lost, one line says so, and `--strict` refuses."""

from __future__ import annotations

import dataclasses
import io
import random
import struct
import zlib
from collections.abc import Iterable

import numpy as np
import pytest

from audiodec.bitstream.container import HEADER_SIZE, TRAILER_SIZE
from audiodec.bitstream.reader import Reader
from audiodec.errors import FormatError
from tests.damage_tools import HEADER, Damaged, Made, make, read

FULL, SIZE = HEADER.block_frames, HEADER.block_size
FILE = make(5 * FULL + 5)  # five full blocks and a short one


def check(damaged: Damaged, in_place: bool = True) -> str:
    """All whole blocks come out, in place; returns what is said of the damage."""
    made = damaged.made
    reader, found, frames = read(bytes(damaged.data))
    full, alive = made.header.block_frames, damaged.survivors()
    assert len(found) == len(alive)
    for number, (at, codes) in zip(alive, found, strict=True):
        expected = made.codes[..., number * full :][..., : codes.shape[2]]
        np.testing.assert_array_equal(codes, expected)
        if in_place:
            assert at == number * full, f"block {number} at frame {at}"
    if damaged.has_end and in_place:
        assert (reader.samples, frames) == (made.samples, made.codes.shape[2])
    assert bool(reader.damage) == (bytes(damaged.data) != made.data)
    assert "\n" not in reader.damage
    return reader.damage


def one_byte(places: Iterable[int]) -> None:
    """Changed, missing, or one too many: at most one block is lost, the rest is in place."""
    for at in places:
        for kind in ("change", "cut", "put"):
            damaged = Damaged(FILE)
            if kind == "change":
                damaged.change(at, FILE.data[at] ^ 0x55)
            elif kind == "cut":
                damaged.cut(at, 1)
            else:
                damaged.put(at, b"\xa5")
            assert len(damaged.survivors()) >= 5
            check(damaged)


def test_one_byte() -> None:
    one_byte([0, 9, 40, 60, 63, *range(HEADER_SIZE, len(FILE.data), 5)])


@pytest.mark.slow
def test_one_byte_anywhere() -> None:
    one_byte(range(len(FILE.data)))


@pytest.mark.parametrize("count", [2, 30, SIZE - 1, SIZE, SIZE + 1, 2 * SIZE, 3 * SIZE - 5])
def test_many_bytes_anywhere(count: int) -> None:
    """A stretch cut out, put in (noise or zeros) or overwritten: the trailer tells the gap."""
    source = random.Random(count)
    for at in range(HEADER_SIZE, len(FILE.data) - TRAILER_SIZE, 23):
        for kind in ("cut", "noise", "zeros", "over"):
            damaged = Damaged(FILE)
            if kind == "cut":
                if at + count > len(FILE.data) - TRAILER_SIZE:
                    continue
                damaged.cut(at, count)
            elif kind == "over":
                for i in range(at, min(at + count, len(FILE.data) - TRAILER_SIZE)):
                    damaged.change(i, source.randrange(256))
            else:
                damaged.put(at, bytes(count) if kind == "zeros" else source.randbytes(count))
            # Whole blocks cut out without a trace could have stood anywhere.
            traceless = kind == "cut" and (at - HEADER_SIZE) % SIZE == 0 and count % SIZE == 0
            check(damaged, in_place=not traceless)


def test_whole_blocks_cut_out_without_a_trace_are_missing_at_the_end() -> None:
    damaged = Damaged(FILE)
    damaged.cut(HEADER_SIZE + SIZE, 2 * SIZE)
    reader, found, frames = read(bytes(damaged.data))
    assert (len(found), frames, reader.samples) == (4, 5 * FULL + 5, FILE.samples)
    assert [at for at, _ in found] == [0, FULL, 2 * FULL, 3 * FULL]
    assert reader.blocks_lost == 2


def test_bytes_in_front_and_behind() -> None:
    damaged = Damaged(FILE)
    damaged.put(0, b"HTTP/1.1 200 OK\r\n\r\n")
    assert "19 bytes before the header" in check(damaged)
    damaged = Damaged(FILE)
    damaged.put(len(FILE.data), b"tail")
    assert "4 bytes after the end" in check(damaged)
    damaged = Damaged(FILE)
    damaged.put(len(FILE.data), make(20, seed=1).data)  # another file
    assert "bytes after the end" in check(damaged)


def test_another_file_behind_one_that_lacks_blocks_is_not_taken_for_them() -> None:
    damaged = Damaged(FILE)
    damaged.cut(HEADER_SIZE + 10, 2 * SIZE)
    damaged.put(len(damaged.data), make(20, seed=1).data)
    assert "bytes after the end" in check(damaged)


def test_a_copy_of_the_end_further_in_is_not_the_end() -> None:
    damaged = Damaged(FILE)
    damaged.put(HEADER_SIZE + SIZE + 7, FILE.data[-TRAILER_SIZE:])
    check(damaged)
    damaged = Damaged(FILE)
    damaged.put(HEADER_SIZE + SIZE, FILE.data[-TRAILER_SIZE:])
    check(damaged, in_place=False)
    assert read(bytes(damaged.data))[0].samples == FILE.samples


def test_text_mode_transfer() -> None:
    """Every CR LF became LF, which the signature shows; and every LF became CR LF."""
    made = make(40 * FULL)
    for was, now in ((b"\r\n", b"\n"), (b"\n", b"\r\n")):
        data = made.data[:HEADER_SIZE] + made.data[HEADER_SIZE:].replace(was, now)
        if data != made.data:
            reader, found, frames = read(data)
            assert len(found) + reader.blocks_lost == 40
            assert frames == 40 * FULL
            for at, codes in found:
                np.testing.assert_array_equal(codes, made.codes[..., at : at + FULL])


def with_claim(made: Made, samples: int) -> bytes:
    body = struct.pack("<HQ", 0, samples)
    return made.data[:-TRAILER_SIZE] + struct.pack("<I", zlib.crc32(body)) + body


@pytest.mark.parametrize("claim", [0, 1, FILE.samples - 3000, 2**40, 2**62, 2**64 - 1])
def test_an_end_that_claims_what_cannot_be_is_not_believed(claim: int) -> None:
    reader, found, frames = read(with_claim(FILE, claim))
    assert (len(found), frames, reader.samples) == (6, 5 * FULL + 5, None)
    assert "cannot be" in reader.damage
    assert not reader.truncated


def test_a_header_of_which_two_bytes_are_lost_is_refused() -> None:
    for at in range(0, HEADER_SIZE - 2, 5):
        with pytest.raises(FormatError):
            read(FILE.data[:at] + FILE.data[at + 2 :])


class Counted(io.BytesIO):
    """A file that counts the bytes read from it."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


@pytest.mark.parametrize("block_frames", [1, 257, 4096])
def test_hostile_files_cost_no_more_than_their_length(
    block_frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files in which a block or an end could begin at every byte, or does at every second place:
    of one twice as long no more than twice as many bytes are read and summed up."""
    header = dataclasses.replace(HEADER, channels=64 if block_frames == 4096 else 1, codebooks=1,
                                 bits=1, block_frames=block_frames)  # fmt: skip
    made = make(block_frames, header)
    block = made.data[HEADER_SIZE:-TRAILER_SIZE]
    end = made.data[-TRAILER_SIZE:]
    far = with_claim(made, 10**6)[-TRAILER_SIZE:]
    summed, crc32 = 0, zlib.crc32

    def counting(data: bytes, value: int = 0, /) -> int:
        nonlocal summed
        summed += len(data)
        return crc32(data, value)

    monkeypatch.setattr(zlib, "crc32", counting)

    def work(body: bytes) -> int:
        nonlocal summed
        file, summed = Counted(made.data[:HEADER_SIZE] + body), 0
        for _ in Reader(file).blocks():
            pass
        return file.bytes_read + summed

    for pattern in (b"\1", b"\0\1", b"\0", b"x" + block, end + block, far, far + b"x"):
        size = max(1 << 15, 4 * len(block))
        once, twice = (work((pattern * (n // len(pattern) + 1))[:n]) for n in (size, 2 * size))
        assert 0 < twice <= 2.2 * once + 100_000


def fuzz(count: int, seed: int) -> None:
    """Random events on files of random length, checked against what is known to have survived."""
    source = random.Random(seed)
    refused = exact = 0
    files = [make(frames, seed=frames) for frames in (3, 8, 21, 45, 160, 333)]
    for _ in range(count):
        damaged = Damaged(source.choice(files))
        for _ in range(source.choice((1, 1, 1, 2, 3, 8))):
            damaged.at_random(source)
        # Where several stretches have other lengths than they had, only their sum is known; where
        # the end is lost, too, not even that.
        in_place = damaged.cuts == 0
        try:
            check(damaged, in_place)
        except FormatError:
            assert not damaged.has_header
            refused += 1
            continue
        exact += in_place
        if damaged.has_end:
            reader, _, frames = read(bytes(damaged.data))
            assert reader.samples == damaged.made.samples
            assert frames == damaged.made.codes.shape[2]
    assert 0 < refused < count
    assert exact


def test_random_damage() -> None:
    fuzz(300, seed=0)


@pytest.mark.slow
def test_ten_thousand_times_random_damage() -> None:
    fuzz(10_000, seed=1)
