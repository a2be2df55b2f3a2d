"""The reference runtime: the network itself in torch. Needs the `train` extra."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from audiodec.codec.codec import Codec
from audiodec.errors import ModelError
from audiodec.pretrained import WEIGHTS, read_info
from audiodec.runtime.base import Codes, Samples, State
from audiodec.runtime.beam import BeamSearch


def load_codec(folder: Path) -> Codec:
    """The network of a model folder, float32, in evaluation mode.

    Raises:
        ModelError: the weights do not fit the configuration.
    """
    codec = Codec(read_info(folder).codec)
    weights = {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()}
    try:
        codec.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"model {folder}: weights do not fit: {reason}") from None
    return codec.eval()


class TorchRuntime:
    """Runs a model folder in torch. Raises ModelError like `load_codec`."""

    def __init__(self, folder: Path) -> None:
        self.info = read_info(folder)
        self.codec = load_codec(folder)
        quantizer = self.codec.quantizer
        self.beam = BeamSearch(quantizer.codebooks.numpy(), quantizer.mean.numpy())

    def encoder_state(self, batch: int) -> State:
        return self.codec.encoder.initial_state(batch)

    @torch.no_grad()
    def encode(self, audio: Samples, state: State, stages: int, effort: int) -> tuple[Codes, State]:
        latents, state = self.latents(audio, state)
        if effort > 1:
            return self.beam(latents, stages, effort), state
        return self.codec.quantizer.encode(torch.from_numpy(latents), stages).numpy(), state

    @torch.no_grad()
    def latents(self, audio: Samples, state: State) -> tuple[Samples, State]:
        """What the encoder gives before quantization, [batch, dim, frames]."""
        latents, state = self.codec.encoder.step(torch.from_numpy(audio), state)
        return latents.numpy(), state

    def decoder_state(self, batch: int) -> State:
        return self.codec.decoder.initial_state(batch)

    @torch.no_grad()
    def decode(self, codes: Codes, state: State) -> tuple[Samples, State]:
        quantized = self.codec.quantizer.decode(torch.from_numpy(codes.copy()))
        audio, state = self.codec.decoder.step(quantized, state)
        return audio.numpy(), state
