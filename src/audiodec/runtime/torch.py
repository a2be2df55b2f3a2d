"""The reference runtime: the network itself in torch. Needs the `train` extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from audiodec.arrays import Codes, Samples
from audiodec.errors import ConfigError, ModelError
from audiodec.nn.network import Network
from audiodec.pretrained import WEIGHTS, ModelFolders, read_info
from audiodec.runtime.base import State
from audiodec.runtime.concealment import find_concealment


def load_network(folder: Path) -> Network:
    """Load the network of a model folder, float32, in evaluation mode, on the CPU.

    Raises:
        ModelError: the weights do not fit the configuration.
    """
    network = Network(read_info(folder).codec)
    weights = {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"model {folder}: weights do not fit: {reason}") from None
    return network.eval()


class TorchRuntime:
    """Runs a model in torch; arrays travel to its device and back, states stay there.

    A copy, pickled or deep, has the network's weights of that moment.

    Args:
        model: checked folders.
        device: whatever `torch.device` takes.

    Attributes:
        network: the model itself; what becomes of its weights is heard at once.

    Raises:
        ModelError: like `load_network`.
        ConfigError: the device is not one, or cannot be used here.
    """

    name = "torch"

    def __init__(self, model: ModelFolders, device: Any = "cpu") -> None:
        self.info = model.info
        self.network = load_network(model.encoder)
        if model.decoder != model.encoder:
            self.network.decoder = load_network(model.decoder).decoder
        self.concealment = find_concealment(model)
        try:
            self.network.to(torch.device(device))
        except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"device {str(device)!r} cannot be used: {reason}") from None

    def encoder_state(self, batch: int) -> State:
        return self.network.encoder.initial_state(batch)

    def encode(
        self, audio: Samples, state: State, num_codebooks: int, beam_width: int
    ) -> tuple[Codes, State]:
        latents, state = self.latents(audio, state)
        return self.quantize(latents, num_codebooks, beam_width), state

    @torch.no_grad()
    def latents(self, audio: Samples, state: State) -> tuple[Samples, State]:
        latents, state = self.network.encoder.step(self._tensor(audio), state)
        return (latents - self.network.quantizer.mean[:, None]).cpu().numpy(), state

    @torch.no_grad()
    def quantize(self, latents: Samples, num_codebooks: int, beam_width: int) -> Codes:
        frames = self._tensor(latents).transpose(1, 2)
        return self.network.quantizer.search(frames, num_codebooks, beam_width).cpu().numpy()

    @torch.no_grad()
    def dequantize(self, codes: Codes) -> Samples:
        return self.network.quantizer.decode(self._tensor(codes)).cpu().numpy()

    def decoder_state(self, batch: int) -> State:
        return self.network.decoder.initial_state(batch)

    def decode(self, codes: Codes, state: State) -> tuple[Samples, State]:
        return self.decode_quantized(self.dequantize(codes), state)

    @torch.no_grad()
    def decode_quantized(self, quantized: Samples, state: State) -> tuple[Samples, State]:
        audio, state = self.network.decoder.step(self._tensor(quantized), state)
        return audio.cpu().numpy(), state

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        """On the network's device, wherever its owner has moved it."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.network.quantizer.mean.device)
