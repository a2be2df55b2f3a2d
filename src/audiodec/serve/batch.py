"""Many streams through one model at once; each sounds as it would alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiodec.arrays import Codes, Samples
from audiodec.bitstream.batch import pack_all, unpack_all
from audiodec.bitstream.packet import Arrived, PacketFormat
from audiodec.playback import AHEAD_FRAMES, Concealment, Rows
from audiodec.runtime.base import Runtime
from audiodec.serve.slots import Slots


class EncoderBatch:
    """Encoder streams, one per row.

    Args:
        capacity: rows.
    """

    def __init__(self, runtime: Runtime, capacity: int) -> None:
        self._runtime = runtime
        self._slots = Slots(runtime.encoder_state(capacity))

    def reset(self, rows: Rows) -> None:
        """Let new streams begin in these rows."""
        self._slots.reset(rows)

    def encode(
        self, rows: Rows, audio: Samples, num_codebooks: NDArray[np.int64], format: PacketFormat
    ) -> list[list[bytes]]:
        """Code audio [len(rows), channels, packets * frames * hop] as the packets of each stream.

        Args:
            num_codebooks: of each stream's packets, [len(rows)].
            format: of the packets.
        """
        state = self._slots.take(rows)
        codes, state = self._runtime.encode(audio, state, format.codebooks, beam_width=1)
        self._slots.put(rows, state)
        return pack_all(codes, num_codebooks, format)


class DecoderBatch:
    """Decoder streams, one per row, with the concealment of a `Decoder` for each."""

    def __init__(self, runtime: Runtime, capacity: int) -> None:
        self._runtime = runtime
        self._slots = Slots(runtime.decoder_state(capacity))
        self._concealment = Concealment(runtime, capacity)

    def reset(self, rows: Rows) -> None:
        """Let new streams begin in these rows."""
        self._slots.reset(rows)
        self._concealment.reset(rows)

    def decode(self, rows: Rows, packets: list[list[Arrived]], format: PacketFormat) -> Samples:
        """Decode the same number of packets of each stream to audio in [-1, 1].

        Args:
            packets: of each stream, checked; what is lost of them is never a stream's first: what
                is lost before that is silence and no work.
            format: of the packets.

        Returns:
            [len(rows), channels, packets * frames * hop].
        """
        count = len(packets[0])
        # A packet at a time, as a stream is concealed alone; the decoder then takes all at once.
        turns = [[own[i] for own in packets] for i in range(count)]
        filled, gains = [], []
        for turn in turns:
            lost = np.array([arrived.packet is None for arrived in turn])
            incomplete = lost | [arrived.coarse for arrived in turn]
            codes = _codes([[arrived.packet] for arrived in turn], format)
            ahead = _ahead(turn, format) if incomplete.any() else None
            filled.append(self._concealment.fill(rows, codes, incomplete, ahead))
            gains.append(self._concealment.gains(rows, format.samples, lost))
        state = self._slots.take(rows)
        latents = np.concatenate(filled, axis=2)
        audio, state = self._runtime.decode_quantized(latents, state)
        self._slots.put(rows, state)
        return np.clip(audio, -1, 1) * np.concatenate(gains, axis=1)[:, None]


def _ahead(turn: list[Arrived], format: PacketFormat) -> Codes:
    """Codes of what is ahead of each stream's packet, [streams, codebooks, frames]."""
    most = -(-AHEAD_FRAMES // format.frames)
    near = [list(arrived.ahead[:most]) for arrived in turn]
    return _codes([own + [None] * (most - len(own)) for own in near], format)


def _codes(packets: list[list[bytes | None]], format: PacketFormat) -> Codes:
    """Packets of each stream, as many of each -> codes [streams, codebooks, frames]; -1 where one
    is absent."""
    flat = unpack_all([packet or b"" for own in packets for packet in own], format)
    parts = flat.reshape(len(packets), -1, format.codebooks, format.frames)
    return parts.transpose(0, 2, 1, 3).reshape(len(packets), format.codebooks, -1)
