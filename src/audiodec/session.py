"""One stream: an encoder from sound to packets, a decoder from packets to sound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from audiodec.arrays import Codes, Samples
from audiodec.bitstream.batch import unpack_all
from audiodec.checks import (
    Tensor,
    check_beam_width,
    check_packet_frames,
    check_rate,
    check_signals,
    count_codebooks,
)
from audiodec.errors import AudioError, FormatError
from audiodec.playback import AHEAD_FRAMES, Playback
from audiodec.resampling import Resampler
from audiodec.runtime.base import CHUNK_FRAMES, Runtime, State
from audiodec.runtime.steps import Steps, cut


class Encoder:
    """One stream of sound to packets: write any number of samples, then drain.

    However the sound is cut into pieces, the packets are the same, and hold the codes that
    `Codec.encode` gives. `Codec.encoder` makes one.

    Args:
        runtime: What computes; that of the codec.
        bitrate: kbps, one of `Codec.bitrates`; the highest if not given.
        beam_width: Code sequences kept per frame while searching, 1 to 64.
        frames_per_packet: 1 to 1000. More need fewer headers on a network, and wait longer.
        num_codebooks: How many codebooks to code with, instead of a bitrate.
        sample_rate: Hz of the samples; the model's own if not given. Resampling makes packets
            later, e.g. by 20 ms from 44.1 to 48 kHz: a live stream should be at the model's rate.
    """

    def __init__(
        self,
        runtime: Runtime,
        bitrate: float | None = None,
        beam_width: int = 1,
        frames_per_packet: int = 1,
        *,
        num_codebooks: int | None = None,
        sample_rate: float | None = None,
    ) -> None:
        self._runtime, self._config = runtime, runtime.info.codec
        self._num_codebooks = count_codebooks(self._config, bitrate, num_codebooks)
        self._beam_width = check_beam_width(beam_width)
        frames = check_packet_frames(frames_per_packet, self._config.quantizer.code_bits)
        self._format = self._config.packet_format(frames)
        rate = check_rate(sample_rate, self._config.sample_rate)
        self._resampler = Resampler(rate, self._config.sample_rate, self._config.channels)
        self.reset()

    def __repr__(self) -> str:
        return (
            f"Encoder(model={self._runtime.info.id!r}, bitrate={self.bitrate:g}, "
            f"beam_width={self._beam_width}, frames_per_packet={self._format.frames}, "
            f"sample_rate={self._resampler.source})"
        )

    @property
    def bitrate(self) -> float:
        """kbps of the packets, one of `Codec.bitrates`; it may be changed at any time.

        Raises:
            ConfigError: A bitrate that is not offered.
        """
        return self._config.bitrate(self._num_codebooks)

    @bitrate.setter
    def bitrate(self, kbps: float | None) -> None:
        self._num_codebooks = count_codebooks(self._config, kbps, None)

    @property
    def num_codebooks(self) -> int:
        """Codebooks that the packets hold codes of; another way to say `bitrate`.

        Raises:
            ConfigError: A number that is not offered.
        """
        return self._num_codebooks

    @num_codebooks.setter
    def num_codebooks(self, count: int) -> None:
        self._num_codebooks = count_codebooks(self._config, None, count)

    def reset(self) -> None:
        """Forget everything: the next sample begins a new stream."""
        self._steps = Steps(self._encode, self._runtime.encoder_state(1))
        self._waiting = np.zeros((self._config.channels, 0), np.float32)
        self._resampler.reset()

    def write(self, samples: ArrayLike | Tensor) -> list[bytes]:
        """Add samples, and get the packets that are complete now, oldest first.

        Args:
            samples: Sound in [-1, 1], [samples] of any number; [channels, samples] where the
                model codes several channels.

        Raises:
            AudioError: Like `Codec.encode`, or a batch; the stream is as it was before.
        """
        audio, single, _ = check_signals(samples, self._config.channels)
        if not single:
            raise AudioError(
                f"a stream takes one signal, not a batch {list(np.shape(audio))}: "
                "open an encoder for each"
            )
        return self._add(self._resampler.push(audio[0]))

    def drain(self) -> list[bytes]:
        """Get the last packets, the very last filled up with zeros, and reset.

        There may be none: no samples were written since the last packet.
        """
        packets = self._add(self._resampler.finish())
        missing = -self._waiting.shape[1] % self._format.samples
        packets += self._add(np.zeros((self._config.channels, missing), np.float32))
        self.reset()
        return packets

    def _add(self, audio: Samples) -> list[bytes]:
        """Packets that are complete with these samples at the model's rate."""
        self._waiting = np.concatenate([self._waiting, audio], axis=1)
        size, frames = self._format.samples, self._format.frames
        ready = self._waiting.shape[1] // size * size
        whole, self._waiting = self._waiting[None, :, :ready], self._waiting[:, ready:].copy()
        return [
            self._format.pack(packet)
            for codes in self._steps.through(cut(whole, size * max(1, CHUNK_FRAMES // frames)))
            for packet in cut(codes[0], frames)
        ]

    def _encode(self, audio: Samples, state: State) -> tuple[Codes, State]:
        return self._runtime.encode(audio, state, self._num_codebooks, self._beam_width)


class Decoder:
    """One stream of packets to sound: a packet in, its samples out; None for a lost packet.

    Packets may be of any bitrate, and change it from one to the next. All samples together are
    those of `Codec.decode`. `Codec.decoder` makes one.

    Args:
        runtime: What computes; that of the codec.
        frames_per_packet: What the encoder was told.
        sample_rate: Hz at which to return the sound; the model's own if not given. Resampling
            gives samples later, and `drain` the last of them.
    """

    def __init__(
        self, runtime: Runtime, frames_per_packet: int = 1, *, sample_rate: float | None = None
    ) -> None:
        self._runtime, config = runtime, runtime.info.codec
        frames = check_packet_frames(frames_per_packet, config.quantizer.code_bits)
        self._format = config.packet_format(frames)
        rate = check_rate(sample_rate, config.sample_rate)
        self._resampler = Resampler(config.sample_rate, rate, config.channels)
        self.reset()

    def __repr__(self) -> str:
        return (
            f"Decoder(model={self._runtime.info.id!r}, frames_per_packet={self._format.frames}, "
            f"sample_rate={self._resampler.target})"
        )

    def reset(self) -> None:
        """Forget everything: the next packet begins a new stream."""
        self._playback = Playback(self._runtime, batch=1)
        self._resampler.reset()

    def decode(
        self,
        packet: bytes | None,
        *,
        coarse: bool = False,
        ahead: Sequence[bytes | None] = (),
    ) -> Samples:
        """Decode a packet, or conceal its loss.

        A lost packet (None) is guessed from what is known around it; a model without a graph for
        that repeats the last frame. Where nothing more comes, the sound fades to silence. What
        comes after a loss is right again as soon as the decoder has forgotten it (150 ms).

        Args:
            packet: The bytes that the encoder gave, or None: they are lost.
            coarse: The packet is a copy in fewer codebooks than were sent: the rest is guessed.
            ahead: The packets after this one, as far as they are there already, None for one that
                is not: with them a guess is better.

        Returns:
            Sound, float32 in [-1, 1], [frames_per_packet * hop]; [channels, frames_per_packet *
            hop] where the model codes several channels. With a sample rate of your own, what of
            the stream is ready at that rate.

        Raises:
            FormatError: The bytes are no packet of this stream, which is as it was before.
        """
        following = self._following(ahead)
        if packet is None:
            audio = self._playback.conceal(self._format.frames, following)
        else:
            audio = self._playback.play(self._codes(packet)[None], coarse, following)
        return as_signal(np.clip(self._resampler.push(audio[0]), -1, 1))

    def drain(self) -> Samples:
        """Get the samples that resampling has held back, and reset; none without resampling."""
        rest = np.clip(self._resampler.finish(), -1, 1)
        self.reset()
        return as_signal(rest)

    def _following(self, ahead: Sequence[bytes | None]) -> Codes | None:
        """Codes of the packets ahead that matter, [1, codebooks, frames]; -1 where absent."""
        near = ahead[: -(-AHEAD_FRAMES // self._format.frames)]
        if not any(near):
            return None
        for packet in filter(None, near):
            self._format.codebooks_of(packet)
        codes = unpack_all([packet or b"" for packet in near], self._format)
        return np.concatenate(list(codes), axis=1)[None]

    def _codes(self, packet: bytes) -> Codes:
        """Codes [codebooks, frames]. Raises FormatError like `decode`."""
        if not isinstance(packet, bytes | bytearray | memoryview):
            raise FormatError(f"a packet is bytes, or None for a lost one, not {packet!r:.40}")
        return self._format.unpack(bytes(packet))


def as_signal(audio: Samples) -> Samples:
    """Give [1, samples] as [samples], and several channels as they are."""
    signal: Samples = audio[0] if len(audio) == 1 else audio
    return signal
