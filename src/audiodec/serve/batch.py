"""Many streams through one model at once; each sounds as it would alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiodec.arrays import Samples
from audiodec.bitstream.batch import pack_all, unpack_all
from audiodec.bitstream.packet import PacketFormat
from audiodec.playback import Concealment, Rows
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
        self._concealment = Concealment(runtime.info.codec, capacity)

    def reset(self, rows: Rows) -> None:
        """Let new streams begin in these rows."""
        self._slots.reset(rows)
        self._concealment.reset(rows)

    def decode(
        self, rows: Rows, packets: list[list[bytes | None]], format: PacketFormat
    ) -> Samples:
        """Decode the same number of packets of each stream to audio in [-1, 1].

        Args:
            packets: of each stream, checked; None where one was lost, which is never a stream's
                first: what is lost before that is silence and no work.
            format: of the packets.

        Returns:
            [len(rows), channels, packets * frames * hop].
        """
        count = len(packets[0])
        lost = np.array([[packet is None for packet in own] for own in packets])
        codes = unpack_all([packet or b"" for own in packets for packet in own], format)
        codes = codes.reshape(len(rows), count, format.codebooks, format.frames)
        filled = [self._concealment.fill(rows, codes[:, i], lost[:, i]) for i in range(count)]
        state = self._slots.take(rows)
        audio, state = self._runtime.decode(np.concatenate(filled, axis=2), state)
        self._slots.put(rows, state)
        pieces = np.split(np.clip(audio, -1, 1), count, axis=2)
        faded = [self._concealment.fade(rows, own, lost[:, i]) for i, own in enumerate(pieces)]
        return np.concatenate(faded, axis=2)
