"""SNAC at 24 kHz (Siuzdak et al., 2024): codes at three rates, the whole signal at once."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiodec.arrays import Codes
from audiodec.errors import ModelError
from audiodec.evaluation.codecs.neural.base import Neural, families

CONFIG = {  # of hubertsiuzdak/snac_24khz
    "sampling_rate": 24000, "encoder_dim": 48, "encoder_rates": [2, 4, 8, 8],
    "decoder_dim": 1024, "decoder_rates": [8, 8, 4, 2], "attn_window_size": None,
    "codebook_size": 4096, "codebook_dim": 8, "vq_strides": [4, 2, 1],
    "noise": True, "depthwise": True,
}  # fmt: skip
SCALES = (1, 2, 4)  # codes of each scale in a frame of the coarsest


class Snac(Neural):
    """A frame is one code of the coarsest scale, with the two and four that go with it."""

    title, key, repository = "SNAC 24 kHz", "snac", "hubertsiuzdak/snac_24khz"
    package, files = "snac", ("config.json", "pytorch_model.bin")
    sample_rate, hop, bits, streaming = 24000, 2048, 12, False

    def create(self, package: Any) -> Any:
        return package.SNAC(**CONFIG)

    def load(self, package: Any, folder: Path) -> Any:
        network = self.create(package)
        try:
            weights = torch.load(folder / "pytorch_model.bin", "cpu", weights_only=True)
            network.load_state_dict(weights)
        except (OSError, RuntimeError, TypeError, pickle.UnpicklingError) as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"{folder} holds no {self.title} that can be read: {reason}") from None
        return network

    def codes(self, audio: torch.Tensor) -> Codes:
        scales = [scale[0].numpy() for scale in self.network.encode(audio)]
        rows = [scale.reshape(-1, n).T for scale, n in zip(scales, SCALES, strict=True)]
        return np.concatenate(rows)

    def audio(self, codes: Codes) -> torch.Tensor:
        scales = np.split(codes, np.cumsum(SCALES)[:-1])
        tensors = [torch.from_numpy(rows.T.reshape(1, -1).copy()) for rows in scales]
        # Its decoder adds noise; ours is the same noise every time.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.network.decode(tensors)  # type: ignore[no-any-return]


RATES = (0.98,)
FAMILY, RANDOM = families(Snac, RATES)
