"""Packets and the .adc container: round trips, the documented bytes, damage, hostile input."""

from __future__ import annotations

import dataclasses
import io
import random
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiodec.bitstream.container import HEADER_SIZE, Header, Writer
from audiodec.bitstream.packet import PacketFormat, pack, packet_size, unpack
from audiodec.bitstream.reader import Reader
from audiodec.bitstream.survey import MAX_EXPANSION
from audiodec.errors import FormatError

HEADER = Header(
    model_id="test", weights_hash=b"12345678", model_rate=48000, rate=44100, channels=2, hop=320,
    codebooks=3, bits=10, block_frames=8,
)  # fmt: skip


def make_file(frames: int = 21, samples: int = 6000) -> tuple[bytes, np.ndarray]:
    codes = np.random.default_rng(0).integers(1024, size=(2, 3, frames))
    file = io.BytesIO()
    writer = Writer(file, HEADER)
    for start in range(0, frames, 8):
        writer.write_block(list(codes[..., start : start + 8]))
    writer.finish(samples)
    assert writer.total_bytes == len(file.getvalue())
    return file.getvalue(), codes


def read(data: bytes) -> tuple[Reader, list[np.ndarray | None], int]:
    reader = Reader(io.BytesIO(data))
    blocks = list(reader.blocks())
    codes = [None if b.codes is None else np.stack(b.codes) for b in blocks]
    return reader, codes, sum(b.frames for b in blocks)


@given(st.integers(1, 16), st.integers(1, 8), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_packets_round_trip(bits: int, num_codebooks: int, frames: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(1 << bits, size=(num_codebooks, frames))
    packet = pack(codes, bits)
    assert (
        len(packet)
        == packet_size(frames, num_codebooks, bits)
        == -(-frames * num_codebooks * bits // 8)
    )
    assert np.array_equal(unpack(packet, frames, num_codebooks, bits), codes)


def test_twelve_kbps_is_ten_bytes_a_frame_and_the_length_tells_the_codebooks() -> None:
    assert packet_size(1, 8, 10) == 10
    for frames in (1, 2, 3, 7):
        for num_codebooks in range(1, 9):
            format = PacketFormat(frames, 8, 10, 320, 48000)
            packet = format.pack(np.zeros((num_codebooks, frames), np.int64))
            assert len(packet) == format.size(num_codebooks)
            assert format.codebooks_of(packet) == num_codebooks


def test_bad_packets_are_refused() -> None:
    with pytest.raises(FormatError, match="padding"):
        unpack(b"\x00\x01", 1, 1, 10)
    with pytest.raises(FormatError, match="bytes"):
        unpack(b"\x00", 1, 1, 10)
    with pytest.raises(FormatError, match="codes"):
        pack(np.array([[1024]]), 10)
    format = PacketFormat(1, 8, 10, 320, 48000)
    assert format.codebooks_of(b"\xff\xc0") == 1
    for packet in (b"", b"\x00", b"\x00\x00\x01", b"\x00\x01", bytes(11), bytes(100)):
        for read in (format.codebooks_of, format.unpack):
            with pytest.raises(FormatError, match=r"no packet|padding"):
                read(packet)


def test_a_format_tells_the_sound_of_a_packet() -> None:
    format = PacketFormat(3, 8, 10, 320, 48000)
    assert (format.samples, format.seconds) == (960, 0.02)


def test_file_round_trip() -> None:
    data, codes = make_file()
    reader, blocks, frames = read(data)
    assert reader.header == HEADER
    assert (reader.samples, reader.damage, frames) == (6000, "", 21)
    assert np.array_equal(np.concatenate([b for b in blocks if b is not None], axis=2), codes)
    assert reader.total_bytes == len(data)


@pytest.mark.parametrize("frames", [1, 7, 8, 16, 24])
def test_any_number_of_frames(frames: int) -> None:
    samples = round((frames - 0.5) * 320 * 44100 / 48000)
    reader, blocks, found = read(make_file(frames, samples)[0])
    assert (found, reader.samples) == (frames, samples)
    assert all(block is not None for block in blocks)


def test_seeking_finds_a_block_by_arithmetic() -> None:
    data, codes = make_file()
    start = HEADER_SIZE + HEADER.block_size
    _, blocks, _ = read(data[:HEADER_SIZE] + data[start : start + HEADER.block_size])
    assert blocks[0] is not None
    assert np.array_equal(blocks[0], codes[..., 8:16])


def test_every_truncation_keeps_the_whole_blocks() -> None:
    data, codes = make_file()
    ends = [HEADER_SIZE + HEADER.block_size * i for i in range(3)]
    for length in range(len(data)):
        if length < HEADER_SIZE:
            with pytest.raises(FormatError):
                read(data[:length])
            continue
        reader, blocks, frames = read(data[:length])
        assert reader.samples is None
        whole = sum(length >= end for end in ends[1:])
        assert frames >= 8 * whole
        assert np.array_equal(
            np.concatenate([b for b in blocks if b is not None] or [codes[..., :0]], axis=2),
            codes[..., :frames],
        )


def test_every_flipped_bit_is_found_and_costs_one_block() -> None:
    data, codes = make_file()
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            reader, blocks, frames = read(bytes(damaged))
            assert reader.damage
            bad = sum(b is None for b in blocks)
            assert bad <= 1
            if reader.samples is not None:
                assert frames == 21
                good = [i for i, b in enumerate(blocks) if b is not None]
                for i in good:
                    assert np.array_equal(blocks[i], codes[..., 8 * i : 8 * i + 8])


def test_impossible_headers_are_refused() -> None:
    for change in (
        {"channels": 0}, {"channels": 65}, {"bits": 0}, {"bits": 17}, {"codebooks": 0},
        {"codebooks": 255}, {"block_frames": 0}, {"block_frames": 65535}, {"hop": 0},
        {"model_rate": 0}, {"rate": 4_000_000_000}, {"model_id": "a\x1bb"},
    ):  # fmt: skip
        with pytest.raises(FormatError, match="impossible"):
            Header.from_bytes(dataclasses.replace(HEADER, **change).to_bytes())
    body = bytearray(HEADER.to_bytes()[:-4])
    body[8] = 9
    with pytest.raises(FormatError, match="version 9"):
        Header.from_bytes(bytes(body) + struct.pack("<I", zlib.crc32(body)))


def test_format_page_by_hand() -> None:
    """The file built byte by byte in docs/format.md decodes to the codes it says."""
    page = Path(__file__).parents[1] / "docs" / "format.md"
    block = re.search(r"```hex\n(.*?)```", page.read_text(), re.S)
    assert block
    hexadecimal = "".join(line.split("#")[0] for line in block[1].splitlines())
    reader, blocks, frames = read(bytes.fromhex(hexadecimal))
    assert (reader.samples, frames, reader.damage) == (600, 2, "")
    assert (reader.header.model_id, reader.header.rate) == ("example", 48000)
    assert blocks[0] is not None
    assert blocks[0][0].tolist() == [[1, 1023], [512, 0]]


def mutate(data: bytes, source: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(source.randint(1, 8)):
        at = source.randrange(len(damaged))
        action = source.random()
        if action < 0.5:
            damaged[at] = source.randrange(256)
        elif action < 0.7:
            del damaged[at : at + source.randint(1, 40)]
        elif action < 0.9:
            damaged[at:at] = source.randbytes(source.randint(1, 40))
        else:
            damaged += source.randbytes(source.randint(1, 200))
        if not damaged:
            return b""
    if source.random() < 0.5 and len(damaged) >= HEADER_SIZE:  # let the mutation past the CRC
        damaged[HEADER_SIZE - 4 : HEADER_SIZE] = struct.pack(
            "<I", zlib.crc32(damaged[: HEADER_SIZE - 4])
        )
    return bytes(damaged)


def fuzz(count: int) -> None:
    data, _ = make_file()
    source = random.Random(0)
    refused = 0
    for _ in range(count):
        mutated = mutate(data, source)
        try:
            reader, blocks, frames = read(mutated)
        except FormatError:
            refused += 1
            continue
        header = reader.header
        fitting = 1 + len(mutated) // header.block_size
        assert frames <= MAX_EXPANSION * fitting * header.block_frames
        assert all(b is None or (0 <= b.min() <= b.max() < 1 << 16) for b in blocks)
    assert 0 < refused < count


def test_short_blocks_with_a_stray_byte_between_do_not_last_for_hours() -> None:
    """Each gap would count as one lost block of 4096 frames: 27 s of sound for 20 bytes."""
    header = dataclasses.replace(HEADER, block_frames=4096)
    body = bytes([1, 0]) + bytes(2 * packet_size(1, 3, 10))  # a block of one frame
    block = struct.pack("<I", zlib.crc32(body)) + body
    for count in (10, 5000):
        data = header.to_bytes() + count * (block + b"\x55")
        if count == 10:
            assert read(data)[2] <= MAX_EXPANSION * header.block_frames
        else:
            with pytest.raises(FormatError, match="longer than the file could be"):
                read(data)


def test_mutated_files() -> None:
    fuzz(3000)


@pytest.mark.slow
def test_a_hundred_thousand_mutated_files() -> None:
    fuzz(100_000)
