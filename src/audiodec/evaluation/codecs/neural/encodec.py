"""EnCodec at 24 kHz (Défossez et al., 2022), causal; without its optional entropy coder."""

from __future__ import annotations

import torch

from audiodec.arrays import Codes
from audiodec.evaluation.codecs.neural.base import FromTransformers, families


class EnCodec(FromTransformers):
    """EnCodec at 24 kHz (Défossez et al., 2022)."""

    title, key, repository = "EnCodec 24 kHz", "encodec", "facebook/encodec_24khz"
    network_class = "EncodecModel"
    sample_rate, hop, bits, streaming = 24000, 320, 10, True

    def codes(self, audio: torch.Tensor) -> Codes:
        encoded = self.network.encode(audio, bandwidth=self.kbps)
        return encoded.audio_codes[0, 0].numpy()  # type: ignore[no-any-return]

    def audio(self, codes: Codes) -> torch.Tensor:
        tensor = torch.from_numpy(codes)[None, None]  # [chunks, batch, codebooks, frames]
        return self.network.decode(tensor, [None]).audio_values  # type: ignore[no-any-return]


RATES = (1.5, 3, 6, 12, 24)
FAMILY, RANDOM = families(EnCodec, RATES)
