"""Mimi at 24 kHz (Défossez et al., 2024), 12.5 frames a second."""

from __future__ import annotations

import torch

from audiodec.arrays import Codes
from audiodec.evaluation.codecs.neural.base import FromTransformers, families


class Mimi(FromTransformers):
    """Mimi at 24 kHz, the codec of Moshi (Défossez et al., 2024)."""

    title, key, repository = "Mimi", "mimi", "kyutai/mimi"
    network_class = "MimiModel"
    sample_rate, hop, bits, streaming = 24000, 1920, 11, True

    def codes(self, audio: torch.Tensor) -> Codes:
        encoded = self.network.encode(audio, num_quantizers=self.codebooks)
        return encoded.audio_codes[0].numpy()  # type: ignore[no-any-return]

    def audio(self, codes: Codes) -> torch.Tensor:
        decoded = self.network.decode(torch.from_numpy(codes)[None])
        return decoded.audio_values  # type: ignore[no-any-return]


RATES = (0.55, 1.1, 2.2, 4.4)  # 4, 8, 16 and 32 codebooks
FAMILY, RANDOM = families(Mimi, RATES)
