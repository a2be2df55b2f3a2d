"""A loaded model, as a user holds it: whole signals, and streams to open."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from audiodec.arrays import Codes, Samples
from audiodec.checks import (
    as_array,
    check_beam_width,
    check_codes,
    check_rate,
    check_signals,
    count_codebooks,
)
from audiodec.latents import LatentCodec, T
from audiodec.runtime.base import Runtime, State
from audiodec.session import Decoder, Encoder


class Codec(LatentCodec):
    """A loaded model, for whole signals; `encoder` and `decoder` open streams.

    Sound is float in [-1, 1]. A signal is [samples]; a batch has its channels too: [batch, 1,
    samples]. Models of several channels (`channels` above 1) take [channels, samples] and
    [batch, channels, samples]. Any other shape is refused. What comes back has the shape that
    went in: one signal for one signal, a batch for a batch.

    Every method takes arrays and torch tensors. Arrays give arrays; tensors give tensors on the
    same device, without a gradient.

    Threads may share a Codec. An Encoder or a Decoder is one stream, for one thread at a time.
    All three can be copied and pickled: with the ONNX runtime they find their model again, by name
    or folder and by hash; with torch the weights travel along as they are.

    Args:
        runtime: What computes; `audiodec.load` gives a Codec its runtime.

    Attributes:
        sample_rate: Hz at which the model codes.
        channels: Channels that are coded together.
        hop: Samples per frame, which is also the algorithmic latency.
        num_codebooks: Codebooks of the model; the codes of the leading ones suffice to decode.
        bitrates: kbps on offer; the n-th is that of n codebooks.
        info: Identity of the model and hashes of its files.
        config: What the network is made of.
    """

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.num_codebooks: int = self.config.quantizer.codebooks
        self.bitrates = [self.config.bitrate(n + 1) for n in range(self.num_codebooks)]

    def __repr__(self) -> str:
        return (
            f"Codec(model={self.info.id!r}, runtime={self.runtime.name!r}, "
            f"sample_rate={self.sample_rate}, channels={self.channels}, hop={self.hop}, "
            f"bitrates={[round(kbps, 3) for kbps in self.bitrates]})"
        )

    @property
    def network(self) -> Any:
        """The model as a plain `torch.nn.Module` (`audiodec.nn.network.Network`), to train.

        Its parts `encoder`, `quantizer` and `decoder` are modules too. Gradients flow through
        `network.decoder(latents)` to the latents and all weights, and through
        `network.encoder(samples)` to its weights. `network.quantizer.encode` and `decode` have no
        gradient: pass it around them (straight-through). The Codec uses the same weights: what
        training makes of them, it codes with.

        Raises:
            AttributeError: The codec does not run in torch.
        """
        network = getattr(self.runtime, "network", None)
        if network is None:
            raise AttributeError(
                "this codec runs in onnxruntime and holds no torch network: "
                "use audiodec.load(..., runtime='torch')"
            )
        return network

    @overload
    def encode(
        self, samples: T, bitrate: float | None = ..., beam_width: int = ..., *,
        num_codebooks: int | None = ..., sample_rate: float | None = ...,
    ) -> T: ...  # fmt: skip
    @overload
    def encode(
        self, samples: ArrayLike, bitrate: float | None = ..., beam_width: int = ..., *,
        num_codebooks: int | None = ..., sample_rate: float | None = ...,
    ) -> Codes: ...  # fmt: skip
    def encode(
        self,
        samples: Any,
        bitrate: float | None = None,
        beam_width: int = 1,
        *,
        num_codebooks: int | None = None,
        sample_rate: float | None = None,
    ) -> Any:
        """Code a signal or a batch of signals; the last frame is filled up with zeros.

        Args:
            samples: Sound in [-1, 1], [samples] or [batch, channels, samples].
            bitrate: kbps, one of `bitrates`; the highest if not given.
            beam_width: Code sequences kept per frame while searching, 1 to 64. Wider is slower
                and better; 1 is the greedy search, 4 what files are coded with.
            num_codebooks: How many codebooks to code with, instead of a bitrate.
            sample_rate: Hz of the samples, which are resampled if the model's is another. The
                model's own if not given.

        Returns:
            Codes, int64, [codebooks, frames] or [batch, codebooks, frames].

        Raises:
            AudioError: The shape is ambiguous or wrong, or the values are no sound in [-1, 1]:
                integers, not finite, or beyond 10.
            ConfigError: A bitrate, beam width, number of codebooks or sample rate that is not
                offered.
        """
        count = count_codebooks(self.config, bitrate, num_codebooks)
        width, rate = check_beam_width(beam_width), check_rate(sample_rate, self.sample_rate)
        batch, single, give_back = check_signals(samples, self.channels)

        def step(audio: Samples, state: State) -> tuple[Codes, State]:
            return self.runtime.encode(audio, state, count, width)

        codes = self._encode(step, batch, rate, np.zeros((len(batch), count, 0), np.int64))
        return give_back(codes[0] if single else codes)

    @overload
    def decode(
        self, codes: T, length: int | None = ..., *, sample_rate: float | None = ...
    ) -> T: ...
    @overload
    def decode(
        self, codes: ArrayLike, length: int | None = ..., *, sample_rate: float | None = ...
    ) -> Samples: ...
    def decode(
        self, codes: Any, length: int | None = None, *, sample_rate: float | None = None
    ) -> Any:
        """Turn the codes of a whole signal, or of a batch, back into sound.

        Args:
            codes: Integers, [codebooks, frames] or [batch, codebooks, frames]. The codes of the
                leading codebooks suffice.
            length: Samples to return, at the rate that is returned; all if not given. The
                signal's own length brings it back to the sample.
            sample_rate: Hz at which to return it; the model's own if not given.

        Returns:
            Sound, float32 in [-1, 1], [samples] or [batch, channels, samples].

        Raises:
            FormatError: The codes have a wrong shape, lie beyond the codebooks, or hold fewer
                samples than asked for.
            ConfigError: A length or sample rate that cannot be.
        """
        array, give_back = as_array(codes, "codes")
        batch, single = check_codes(array, self.config)
        return give_back(self._decode(self.runtime.decode, batch, single, length, sample_rate))

    def encoder(
        self,
        bitrate: float | None = None,
        beam_width: int = 1,
        frames_per_packet: int = 1,
        *,
        num_codebooks: int | None = None,
        sample_rate: float | None = None,
    ) -> Encoder:
        """Open a stream of sound to code.

        Args:
            bitrate, beam_width, frames_per_packet, num_codebooks, sample_rate: Like those of
                `Encoder`.

        Raises:
            ConfigError: An argument has a value that is not offered.
        """
        return Encoder(
            self.runtime,
            bitrate,
            beam_width,
            frames_per_packet,
            num_codebooks=num_codebooks,
            sample_rate=sample_rate,
        )

    def decoder(self, frames_per_packet: int = 1, *, sample_rate: float | None = None) -> Decoder:
        """Open a stream of packets to decode.

        Args:
            frames_per_packet, sample_rate: Like those of `Decoder`.

        Raises:
            ConfigError: An argument has a value that is not offered.
        """
        return Decoder(self.runtime, frames_per_packet, sample_rate=sample_rate)
