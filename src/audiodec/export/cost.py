"""What a model computes: multiplications with addition (MACs) per second of audio."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from audiodec.codec.codec import Codec

FRAMES = 100


def count_macs(codec: Codec) -> tuple[float, float]:
    """MACs/s of encoding (search of all stages included) and of decoding.

    Matrix products and convolutions as torch counts them in the network of one stream; what is
    done element by element is left out.
    """
    config = codec.config
    audio = torch.zeros(1, config.channels, FRAMES * config.hop)
    seconds = FRAMES / config.frame_rate
    with torch.no_grad():
        with FlopCounterMode(display=False) as encoding:
            latents, _ = codec.encoder.step(audio, codec.encoder.initial_state(1))
            codec.quantizer.encode(latents)
        with FlopCounterMode(display=False) as decoding:
            codec.decoder.step(latents, codec.decoder.initial_state(1))
    # A MAC is two floating-point operations.
    return encoding.get_total_flops() / 2 / seconds, decoding.get_total_flops() / 2 / seconds
