"""Many streams through one model at once; each sounds as it would alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiodec.bitstream.batch import pack_all, unpack_all
from audiodec.bitstream.packet import PacketFormat
from audiodec.playback import FADE, RECOVER
from audiodec.runtime.base import Codes, Samples
from audiodec.runtime.onnx import OnnxRuntime
from audiodec.serve.slots import Rows, Slots


class EncoderBatch:
    """Encoder streams, one per row.

    Args:
        capacity: rows.
    """

    def __init__(self, runtime: OnnxRuntime, capacity: int) -> None:
        self._runtime = runtime
        self._slots = Slots(runtime.encoder_state(capacity))

    def reset(self, rows: Rows) -> None:
        """Let new streams begin in these rows."""
        self._slots.reset(rows)

    def encode(
        self, rows: Rows, audio: Samples, num_codebooks: NDArray[np.int64], format: PacketFormat
    ) -> list[list[bytes]]:
        """Audio [len(rows), channels, packets * frames * hop] -> the packets of each stream.

        Args:
            num_codebooks: of each stream's packets, [len(rows)].
            format: of the packets.
        """
        state = self._slots.take(rows)
        codes, state = self._runtime.encode(audio, state, format.codebooks, beam_width=1)
        self._slots.put(rows, state)
        return pack_all(codes, num_codebooks, format)


class DecoderBatch:
    """Decoder streams, one per row, with the concealment of `codec.Decoder` for each."""

    def __init__(self, runtime: OnnxRuntime, capacity: int) -> None:
        self._runtime, self._config = runtime, runtime.info.codec
        q = self._config.quantizer
        self._slots = Slots(runtime.decoder_state(capacity))
        # A row of zeros after each codebook: code -1, an absent codebook, adds nothing.
        table = np.pad(runtime.codebooks.vectors[: q.codebooks], ((0, 0), (0, 1), (0, 0)))
        self._table = np.ascontiguousarray(table.reshape(-1, q.dim))
        self._ends = (np.arange(q.codebooks) + 1)[:, None] * (q.codebook_size + 1)
        self._last = np.full((capacity, q.codebooks), -1, np.int64)  # newest frame received
        self._gain = np.ones(capacity, np.float32)  # where concealment has faded to

    def reset(self, rows: Rows) -> None:
        """Let new streams begin in these rows."""
        self._slots.reset(rows)
        self._last[rows] = -1
        self._gain[rows] = 1

    def decode(
        self, rows: Rows, packets: list[list[bytes | None]], format: PacketFormat
    ) -> Samples:
        """The same number of packets of each stream -> audio in [-1, 1].

        Args:
            packets: of each stream, checked; None where one was lost, which is
                never a stream's first: what is lost before that is silence and no work.
            format: of the packets.

        Returns:
            [len(rows), channels, packets * frames * hop].
        """
        count = len(packets[0])
        flat = [packet or b"" for own in packets for packet in own]
        codes = unpack_all(flat, format)
        codes = codes.reshape(len(rows), count, format.codebooks, format.frames)
        lost = np.array([[packet is None for packet in own] for own in packets])
        for i in np.flatnonzero(lost.any(0)):
            before = codes[:, i - 1, :, -1] if i else self._last[rows]
            codes[lost[:, i], i] = before[lost[:, i], :, None]
        self._last[rows] = codes[:, -1, :, -1]
        quantized = self._quantized(np.concatenate(codes.transpose(1, 0, 2, 3), axis=2))
        audio, state = self._runtime.decode_quantized(quantized, self._slots.take(rows))
        self._slots.put(rows, state)
        if lost.any() or (self._gain[rows] < 1).any():
            gains = [self._envelope(rows, now, audio.shape[2] // count) for now in lost.T]
            audio = audio * np.concatenate(gains, axis=1)[:, None]
        return np.clip(audio, -1, 1)

    def _quantized(self, codes: Codes) -> Samples:
        """Codes, -1 where a codebook is absent, [streams, codebooks, frames] -> latents, the
        same sum as `Codebooks.decode`, [streams, dim, frames]."""
        at = np.where(codes < 0, self._ends - 1, codes + self._ends - self._ends[0])
        return np.ascontiguousarray(self._table[at].sum(1).transpose(0, 2, 1))

    def _envelope(self, rows: Rows, lost: NDArray[np.bool_], samples: int) -> Samples:
        """Gain of every sample of a packet, [streams, samples]: lost packets fade out, the first
        after a loss fades in."""
        rate, before = self._config.sample_rate, self._gain[rows, None]
        at = np.arange(1, samples + 1, dtype=np.float32)
        fading = np.maximum(before - at / (FADE * rate), 0)
        ramp = min(samples, round(RECOVER * rate))
        rising = np.minimum(before + (1 - before) * (at - 1) / max(ramp - 1, 1), 1)
        gain = np.where(lost[:, None], fading, rising)
        self._gain[rows] = np.where(lost, gain[:, -1], 1)
        return np.asarray(gain, np.float32)
