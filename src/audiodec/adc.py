"""Audio files <-> `.adc` files, in bounded memory, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soxr

from audiodec.arrays import Codes, Samples
from audiodec.audio_files.blocks import Blocks
from audiodec.audio_files.names import printable
from audiodec.audio_files.reading import open_audio
from audiodec.audio_files.sources import seekable
from audiodec.audio_files.writing import check_other, create_audio, write_audio, write_whole
from audiodec.bitstream.container import MAX_CHANNELS, Header, Writer, frames_per_block
from audiodec.bitstream.reader import Reader
from audiodec.checks import check_beam_width, count_codebooks
from audiodec.codec import Codec
from audiodec.errors import AudioError, ConfigError, FormatError, ModelError
from audiodec.loading import load, load_by_weights
from audiodec.playback import Playback
from audiodec.runtime.base import State
from audiodec.runtime.steps import Steps

BEAM_WIDTH = 4  # what files are coded with unless told otherwise
Progress = Callable[[float], None]  # told the seconds of audio done since the last call


@dataclass(frozen=True)
class Coded:
    """What `encode_file` read and wrote.

    Attributes:
        rate: Hz of the input.
        channels: Channels that were coded.
        samples: Samples per channel, at that rate.
        payload_bytes: Bytes of packets.
        total_bytes: Bytes of the file, with headers, CRCs and trailer.
        missing_seconds: Seconds that the input should hold but does not.
        warnings: Lines that say what is wrong with the input.
    """

    rate: int
    channels: int
    samples: int
    payload_bytes: int
    total_bytes: int
    missing_seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Seconds of sound that were coded."""
        return self.samples / self.rate


@dataclass(frozen=True)
class Decoded:
    """What `decode_file` has written, and what was wrong with the file.

    Attributes:
        rate: Hz of the output.
        channels: Channels of the output.
        samples: Samples per channel.
        damaged: Blocks that were lost and concealed.
        truncated: Whether the file had no end; all whole blocks were decoded.
        damage: What is wrong with the file, in one line; empty where nothing is.
    """

    rate: int
    channels: int
    samples: int
    damaged: int
    truncated: bool
    damage: str = ""


def encode_file(
    source: str | Path,
    target: str | Path,
    *,
    codec: Codec | str | Path | None = None,
    bitrate: float | None = None,
    beam_width: int = BEAM_WIDTH,
    num_codebooks: int | None = None,
    mono: bool = False,
    progress: Progress = lambda seconds: None,
) -> Coded:
    """Code an audio file to an `.adc` file, of any length, at any sample rate.

    Several channels are coded one by one; a model of several channels takes as many at a time.
    The target appears only when it is complete.

    Args:
        source: Any audio file that libsndfile reads; `-` is stdin.
        target: The `.adc` file to write; `-` is stdout.
        codec: A loaded codec, or what `audiodec.load` would load; the default model if not given.
        bitrate: kbps, one of `Codec.bitrates`; the highest if not given.
        beam_width: Code sequences kept per frame while searching, 1 to 64; wider is slower and
            better.
        num_codebooks: How many codebooks to code with, instead of a bitrate.
        mono: Whether to mix all channels into one first.
        progress: Called with the seconds of audio done since its last call.

    Returns:
        What was read and written.

    Raises:
        AudioError: The input cannot be read, is empty or has too many channels, or the target
            cannot be written or is the input itself.
        ConfigError: An argument has a value that is not offered, or is no path or codec.
        ModelError: There is no such model.
    """
    source, target = _path(source, "source"), _path(target, "target")
    codec = _loaded(codec)
    count = count_codebooks(codec.config, bitrate, num_codebooks)
    width = check_beam_width(beam_width)
    check_other(source, target)
    with open_audio(source) as audio, write_whole(target) as file:
        channels, together = 1 if mono else audio.channels, codec.channels
        if channels % together or channels // together > MAX_CHANNELS:
            raise AudioError(
                f"{printable(source)} has {channels} channels; model {codec.info.id} takes "
                f"{together}, up to {MAX_CHANNELS} times over"
            )
        streams = channels // together
        header = Header(
            model_id=codec.info.id, weights_hash=codec.info.weights_hash,
            model_rate=codec.sample_rate, rate=audio.rate, channels=streams,
            hop=codec.hop, codebooks=count, bits=codec.config.quantizer.code_bits,
            block_frames=frames_per_block(codec.sample_rate, codec.hop),
        )  # fmt: skip

        def encode(signals: Samples, state: State) -> tuple[Codes, State]:
            return codec.runtime.encode(signals, state, count, width)

        writer, steps = Writer(file, header), Steps(encode, codec.runtime.encoder_state(streams))
        blocks = Blocks(audio, codec.sample_rate, codec.hop, header.block_frames, mono)
        for codes in steps.through(block.reshape(streams, together, -1) for block in blocks):
            writer.write_block(list(codes))
            progress(codes.shape[2] * codec.hop / codec.sample_rate)
        if not blocks.samples_read:
            raise AudioError(f"{printable(source)} holds no audio")
        writer.finish(blocks.samples_read)
    return Coded(
        audio.rate, channels, blocks.samples_read, writer.payload_bytes, writer.total_bytes,
        audio.missing_seconds, audio.warnings,
    )  # fmt: skip


def decode_file(
    source: str | Path,
    target: str | Path,
    *,
    codec: Codec | str | Path | None = None,
    strict: bool = False,
    progress: Progress = lambda seconds: None,
) -> Decoded:
    """Decode an `.adc` file to the original's sample rate, channels and exact length.

    Of a damaged file all whole blocks are decoded, in their place; lost ones are concealed and
    counted. The target appears only when it is complete.

    Args:
        source: The `.adc` file; `-` is stdin.
        target: The audio file to write, in the format of its suffix; `-` writes WAV to stdout.
        codec: A loaded codec, or what `audiodec.load` would load. If not given, the bundled model
            that the file was made with.
        strict: Whether to refuse a file with any damage at all.
        progress: Called with the seconds of audio done since its last call.

    Returns:
        What was written, and what was damaged.

    Raises:
        AudioError: The source cannot be read, or the target cannot be written or is the source
            itself.
        FormatError: The source is no `.adc` file, nothing in it is whole, or with `strict` it is
            damaged.
        ConfigError: An argument is no path or codec.
        ModelError: The file was made with another model, or there is no such model.
    """
    source, target = _path(source, "source"), _path(target, "target")
    check_other(source, target)
    with seekable(source) as file:
        reader = _open(source, file, strict)
        header = reader.header
        codec = load_by_weights(header.weights_hash) if codec is None else _loaded(codec)
        _check_model(printable(source), codec, header)
        channels = header.channels * codec.channels
        with (
            write_whole(target) as out,
            create_audio(out, target, header.rate, channels) as audio,
        ):
            # Only the trailer says where the last frame really ends: hold as much back.
            written, held = 0, np.zeros((channels, 0), np.float32)
            for piece in _decoded(codec, reader, progress):
                held = np.concatenate([held, piece], axis=1)
                ready = max(0, held.shape[1] - header.most_excess)
                write_audio(audio, held[:, :ready])
                written, held = written + ready, held[:, ready:]
            end = written + held.shape[1] if reader.samples is None else reader.samples
            missing = max(0, end - written - held.shape[1])
            write_audio(audio, np.pad(held, ((0, 0), (0, missing)))[:, : end - written])
    return Decoded(header.rate, channels, end, reader.blocks_lost, reader.truncated, reader.damage)


def _open(source: str, file: BinaryIO, strict: bool) -> Reader:
    """Open it. Raises FormatError, with the file's name, where there is nothing to decode."""
    try:
        reader = Reader(file)
    except FormatError as error:
        raise FormatError(f"{printable(source)}: {error}") from None
    if strict and reader.damage:
        raise FormatError(f"{printable(source)} is damaged: {reader.damage}")
    if not reader.blocks_whole and (reader.damage or not reader.samples):
        raise FormatError(f"{printable(source)} holds no whole block: nothing can be decoded")
    return reader


def _path(value: object, name: str) -> str:
    """Give a path as text. Raises ConfigError for what is none."""
    if isinstance(value, str | Path):
        return str(value)
    raise ConfigError(f"{name} must be the path of a file, or '-', not {value!r:.40}")


def _loaded(codec: Codec | str | Path | None) -> Codec:
    if isinstance(codec, Codec):
        return codec
    if codec is None or isinstance(codec, str | Path):
        return load(codec)
    raise ConfigError(f"codec must be a Codec or a model's name or folder, not {codec!r:.40}")


def _check_model(name: str, codec: Codec, header: Header) -> None:
    """Check that the file was made with this model's weights. Raises ModelError if not."""
    info, config = codec.info, codec.config
    if header.weights_hash != info.weights_hash:
        raise ModelError(
            f"{name} was made with model {header.model_id} "
            f"(weights {header.weights_hash.hex()}), not {info.id} "
            f"({info.weights_hash.hex()}): decode it with that model (--model, codec=)"
        )
    shape = (config.sample_rate, config.hop, config.quantizer.code_bits)
    if (header.model_rate, header.hop, header.bits) != shape or (
        header.codebooks > config.quantizer.codebooks
    ):
        raise FormatError(f"{name}: its header contradicts the model it names")


def _decoded(codec: Codec, reader: Reader, progress: Progress) -> Iterator[Samples]:
    """Audio of each block, [channels, n], at the original's rate."""
    header = reader.header
    channels = header.channels * codec.channels
    playback = Playback(codec.runtime, header.channels)
    stream = soxr.ResampleStream(header.model_rate, header.rate, channels, dtype="float32")

    def convert(piece: Samples, last: bool) -> Samples:
        if header.rate == header.model_rate:
            return piece
        return np.asarray(stream.resample_chunk(np.ascontiguousarray(piece.T), last=last).T)

    for block in reader.blocks():
        if block.codes is None:
            piece = playback.conceal(block.frames)
        else:
            piece = playback.play(np.stack(block.codes))
        yield convert(piece.reshape(channels, -1), last=False)
        progress(piece.shape[-1] / header.model_rate)
    yield convert(np.zeros((channels, 0), np.float32), last=True)
