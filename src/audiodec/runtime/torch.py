"""The reference runtime: the network itself in torch. Needs the `train` extra."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from audiodec.errors import ModelError
from audiodec.nn.network import Network
from audiodec.pretrained import WEIGHTS, ModelFolders, read_info
from audiodec.runtime.base import Codes, Samples, State
from audiodec.runtime.codebooks import Codebooks


def load_network(folder: Path) -> Network:
    """The network of a model folder, float32, in evaluation mode.

    Raises:
        ModelError: the weights do not fit the configuration.
    """
    codec = Network(read_info(folder).codec)
    weights = {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()}
    try:
        codec.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"model {folder}: weights do not fit: {reason}") from None
    return codec.eval()


class TorchRuntime:
    """Runs a model in torch. Raises ModelError like `load_network`."""

    def __init__(self, model: ModelFolders) -> None:
        self.info = model.info
        self.codec = load_network(model.encoder)
        if model.decoder != model.encoder:
            self.codec.decoder = load_network(model.decoder).decoder
        quantizer = self.codec.quantizer
        self.codebooks = Codebooks(quantizer.codebooks.numpy(), quantizer.mean.numpy())

    def encoder_state(self, batch: int) -> State:
        return self.codec.encoder.initial_state(batch)

    @torch.no_grad()
    def encode(
        self, audio: Samples, state: State, num_codebooks: int, beam_width: int
    ) -> tuple[Codes, State]:
        latents, state = self.latents(audio, state)
        if beam_width > 1:
            return self.codebooks.search(latents, num_codebooks, beam_width), state
        return self.codec.quantizer.encode(torch.from_numpy(latents), num_codebooks).numpy(), state

    @torch.no_grad()
    def latents(self, audio: Samples, state: State) -> tuple[Samples, State]:
        latents, state = self.codec.encoder.step(torch.from_numpy(audio), state)
        return latents.numpy(), state

    def decoder_state(self, batch: int) -> State:
        return self.codec.decoder.initial_state(batch)

    def decode(self, codes: Codes, state: State) -> tuple[Samples, State]:
        return self.decode_quantized(self.codebooks.decode(codes), state)

    @torch.no_grad()
    def decode_quantized(self, quantized: Samples, state: State) -> tuple[Samples, State]:
        audio, state = self.codec.decoder.step(torch.from_numpy(quantized), state)
        return audio.numpy(), state
