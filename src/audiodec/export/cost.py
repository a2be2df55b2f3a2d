"""What a model computes: multiplications with addition (MACs) per second of audio."""

from __future__ import annotations

import torch

from audiodec.nn.macs import count_macs
from audiodec.nn.network import Network

COUNTED_FRAMES = 100


def network_macs(network: Network) -> tuple[float, float]:
    """Count the MACs/s of encoding (search of all codebooks included) and of decoding, for one
    stream."""
    config = network.config
    audio = torch.zeros(1, config.channels, COUNTED_FRAMES * config.hop)
    seconds = COUNTED_FRAMES / config.frame_rate

    def encode() -> torch.Tensor:
        latents, _ = network.encoder.step(audio, network.encoder.initial_state(1))
        network.quantizer.encode(latents)
        return latents

    latents, encoding = count_macs(encode)
    _, decoding = count_macs(
        lambda: network.decoder.step(latents, network.decoder.initial_state(1))
    )
    return encoding / seconds, decoding / seconds
