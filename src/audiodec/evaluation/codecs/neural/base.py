"""What the neural peers share: a torch network whose frames are codes of so many bits, packed."""

from __future__ import annotations

import abc
import functools
import importlib
import importlib.util
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from audiodec.arrays import Codes, Samples
from audiodec.bitstream.packet import pack, unpack
from audiodec.errors import ModelError
from audiodec.evaluation.codecs.base import Family, MissingCodecError, frames_of_whole_bytes, home
from audiodec.evaluation.codecs.cost import Cost
from audiodec.nn.macs import count_macs

RANDOM = " (random weights, speed only)"
COUNTED_S = 1.0  # seconds of audio, at least, whose operations are counted


class Neural(abc.ABC):
    """A network that turns audio into codes [codebooks, frames] and back.

    Packets are what those codes cost as bits: the fewest frames that fill whole bytes. No model
    here has published packets of its own that cost less.

    Args:
        kbps: nominal; says how many codebooks.
        untrained: random weights, the same every time, instead of the user's.

    Raises:
        MissingCodecError: the package or the weights are not here.
        ModelError: the weights are not this model's.
    """

    title: ClassVar[str]  # of the curve
    key: ClassVar[str]  # under which it is registered, and the folder of its weights
    package: ClassVar[str]  # of Python, which holds the network
    repository: ClassVar[str]  # of the Hugging Face hub, which holds the weights
    files: ClassVar[tuple[str, ...]]  # of the weights
    sample_rate: int
    hop: ClassVar[int]  # samples per frame
    bits: ClassVar[int]  # per code
    streaming: bool  # causal: else it needs the whole signal

    def __init__(self, kbps: float, untrained: bool = False) -> None:
        if reason := type(self).missing(untrained):
            raise MissingCodecError(reason)
        self.kbps, self.codebooks = kbps, self.codebooks_for(kbps)
        self.family = self.title + (RANDOM if untrained else "")
        self.name = f"{self.title} {kbps:g}" + (RANDOM if untrained else "")
        self.frames = frames_of_whole_bytes(self.codebooks * self.bits)  # per packet
        frame_ms = 1000 * self.hop / self.sample_rate
        self.latency_ms = self.frames * frame_ms if self.streaming else math.inf
        package = importlib.import_module(self.package)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = self.create(package) if untrained else self.load(package, home(self.key))
        self.network = network.eval()

    @classmethod
    def missing(cls, untrained: bool = False) -> str | None:
        """Say how to get the codec; None where it is there."""
        if importlib.util.find_spec(cls.package) is None:
            return f"{cls.title} needs its network: pip install {cls.package}"
        folder = home(cls.key)
        if untrained or all((folder / name).is_file() for name in cls.files):
            return None
        return f"{cls.title} needs weights: hf download {cls.repository} --local-dir {folder}"

    def encode(self, samples: Samples) -> list[bytes]:
        size = self.hop * self.frames
        padded = np.pad(samples, (0, -len(samples) % size)).astype(np.float32)
        if not len(padded):
            return []
        with torch.inference_mode():
            codes = self.codes(torch.from_numpy(padded)[None, None])
        starts = range(0, len(padded) // self.hop, self.frames)
        return [pack(codes[:, at : at + self.frames], self.bits) for at in starts]

    def decode(self, packets: list[bytes]) -> Samples:
        if not packets:
            return np.zeros(0, np.float32)
        codes = [unpack(packet, self.frames, self.codebooks, self.bits) for packet in packets]
        with torch.inference_mode():
            audio = self.audio(np.concatenate(codes, axis=1))
        return audio.numpy().ravel()

    def cost(self) -> Cost:
        """Count size and operations of the whole network, of which low rates may leave a part
        unused; operations at this rate, of the whole signal at once."""
        packets = math.ceil(COUNTED_S * self.sample_rate / self.hop / self.frames)
        audio = torch.zeros(1, 1, packets * self.frames * self.hop)
        seconds = audio.shape[-1] / self.sample_rate
        codes, encode = count_macs(lambda: self.codes(audio))
        _, decode = count_macs(lambda: self.audio(codes))
        tensors = list(self.network.state_dict().values())
        return Cost(
            sum(tensor.nbytes for tensor in tensors) / 1e6,
            sum(tensor.numel() for tensor in tensors),
            encode / seconds,
            decode / seconds,
        )

    def codebooks_for(self, kbps: float) -> int:
        """Count the codes per frame at a nominal rate."""
        return round(1000 * kbps * self.hop / self.sample_rate / self.bits)

    @abc.abstractmethod
    def create(self, package: Any) -> Any:
        """Make the network with random weights."""

    @abc.abstractmethod
    def load(self, package: Any, folder: Path) -> Any:
        """Load the network with the user's weights. Pickles are not executed."""

    @abc.abstractmethod
    def codes(self, audio: torch.Tensor) -> Codes:
        """Code audio [1, 1, frames * hop] as codes [codebooks, frames]."""

    @abc.abstractmethod
    def audio(self, codes: Codes) -> torch.Tensor:
        """Decode codes [codebooks, frames] to audio of frames * hop samples or more."""


class FromTransformers(Neural):
    """A network of the package transformers, by the name of its class there."""

    package = "transformers"
    files = ("config.json", "model.safetensors")
    network_class: ClassVar[str]

    def create(self, package: Any) -> Any:
        network_class = getattr(package, self.network_class)
        return network_class(network_class.config_class(sampling_rate=self.sample_rate))

    def load(self, package: Any, folder: Path) -> Any:
        try:
            network, report = getattr(package, self.network_class).from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except Exception as error:  # the package lets those of several others through
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(f"{folder} holds no {self.title} that can be read: {reason}") from None
        if report["missing_keys"]:  # the package would fill them with random numbers
            raise ModelError(f"{folder} holds no whole {self.title}: weights are missing")
        if network.config.sampling_rate != self.sample_rate:
            raise ModelError(
                f"{folder} holds a model of {network.config.sampling_rate} Hz, "
                f"not {self.title}: get {self.repository}"
            )
        return network


def families(peer: type[Neural], rates: tuple[float, ...]) -> tuple[Family, Family]:
    """List a network's families: as users have it, and with random weights, to be timed only."""
    untrained = functools.partial(peer, untrained=True)
    missing = functools.partial(peer.missing, untrained=True)
    return Family(peer, rates, missing=peer.missing), Family(untrained, rates, missing=missing)
