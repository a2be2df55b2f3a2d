"""DAC at 44.1 kHz (Kumar et al., 2023), the whole signal at once."""

from __future__ import annotations

import torch

from audiodec.arrays import Codes
from audiodec.evaluation.codecs.neural.base import FromTransformers, families


class Dac(FromTransformers):
    """Descript Audio Codec at 44.1 kHz (Kumar et al., 2023)."""

    title, key, repository = "DAC 44.1 kHz", "dac", "descript/dac_44khz"
    network_class = "DacModel"
    sample_rate, hop, bits, streaming = 44100, 512, 10, False

    def codes(self, audio: torch.Tensor) -> Codes:
        encoded = self.network.encode(audio, n_quantizers=self.codebooks)
        return encoded.audio_codes[0].numpy()  # type: ignore[no-any-return]

    def audio(self, codes: Codes) -> torch.Tensor:
        decoded = self.network.decode(audio_codes=torch.from_numpy(codes)[None])
        return decoded.audio_values  # type: ignore[no-any-return]


RATES = (1.72, 2.58, 5.17, 7.75)  # 2, 3, 6 and 9 codebooks
FAMILY, RANDOM = families(Dac, RATES)
