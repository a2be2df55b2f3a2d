"""A loaded model, as a user holds it: whole signals, and streams to open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiodec.arrays import Codes, Samples
from audiodec.checks import (
    Tensor,
    as_array,
    check_beam_width,
    check_codes,
    check_latents,
    check_rate,
    check_signals,
    check_whole,
    count_codebooks,
)
from audiodec.errors import FormatError
from audiodec.resampling import resample
from audiodec.runtime.base import CHUNK, Runtime, State
from audiodec.session import Decoder, Encoder, as_signal

T = TypeVar("T", bound=Tensor)
Step = Callable[[NDArray[Any], State], tuple[NDArray[Any], State]]


class Codec:
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
        self.runtime = runtime
        self.info = runtime.info
        config = runtime.info.codec
        self.config = config
        self.sample_rate: int = config.sample_rate
        self.channels: int = config.channels
        self.hop: int = config.hop
        self.num_codebooks: int = config.quantizer.codebooks
        self.bitrates = [config.bitrate(n + 1) for n in range(self.num_codebooks)]

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

    @overload
    def latents(self, samples: T, *, sample_rate: float | None = ...) -> T: ...
    @overload
    def latents(self, samples: ArrayLike, *, sample_rate: float | None = ...) -> Samples: ...
    def latents(self, samples: Any, *, sample_rate: float | None = None) -> Any:
        """Compute what the encoder makes of a signal before quantization, less its mean.

        Args:
            samples: Sound in [-1, 1], [samples] or [batch, channels, samples].
            sample_rate: Hz of the samples; the model's own if not given.

        Returns:
            Latents, float32, [dim, frames] or [batch, dim, frames].

        Raises:
            AudioError, ConfigError: Like `encode`.
        """
        rate = check_rate(sample_rate, self.sample_rate)
        batch, single, give_back = check_signals(samples, self.channels)
        none = np.zeros((len(batch), self.config.quantizer.dim, 0), np.float32)
        latents = self._encode(self.runtime.latents, batch, rate, none)
        return give_back(latents[0] if single else latents)

    @overload
    def quantize(
        self, latents: T, bitrate: float | None = ..., beam_width: int = ..., *,
        num_codebooks: int | None = ...,
    ) -> T: ...  # fmt: skip
    @overload
    def quantize(
        self, latents: ArrayLike, bitrate: float | None = ..., beam_width: int = ..., *,
        num_codebooks: int | None = ...,
    ) -> Codes: ...  # fmt: skip
    def quantize(
        self,
        latents: Any,
        bitrate: float | None = None,
        beam_width: int = 1,
        *,
        num_codebooks: int | None = None,
    ) -> Any:
        """Find the codes for latents.

        Args:
            latents: As `latents` gives them, [dim, frames] or [batch, dim, frames].
            bitrate, beam_width, num_codebooks: Like those of `encode`.

        Returns:
            Codes, int64, [codebooks, frames] or [batch, codebooks, frames]: those of `encode`,
            except where two codes are as near as the rounding of float32.

        Raises:
            AudioError: The latents have a wrong shape or are not finite.
            ConfigError: Like `encode`.
        """
        count = count_codebooks(self.config, bitrate, num_codebooks)
        width = check_beam_width(beam_width)
        array, give_back = as_array(latents, "latents")
        batch, single = check_latents(array, self.config)
        codes = self.runtime.quantize(batch, count, width)
        return give_back(codes[0] if single else codes)

    @overload
    def dequantize(self, codes: T) -> T: ...
    @overload
    def dequantize(self, codes: ArrayLike) -> Samples: ...
    def dequantize(self, codes: Any) -> Any:
        """Look up what codes stand for: the sum of their code vectors.

        Args:
            codes: Integers, [codebooks, frames] or [batch, codebooks, frames].

        Returns:
            Quantized latents, float32, [dim, frames] or [batch, dim, frames], beside those of
            `latents`.

        Raises:
            FormatError: Like `decode`.
        """
        array, give_back = as_array(codes, "codes")
        batch, single = check_codes(array, self.config)
        latents = self.runtime.dequantize(batch)
        return give_back(latents[0] if single else latents)

    @overload
    def decode_latents(
        self, latents: T, length: int | None = ..., *, sample_rate: float | None = ...
    ) -> T: ...
    @overload
    def decode_latents(
        self, latents: ArrayLike, length: int | None = ..., *, sample_rate: float | None = ...
    ) -> Samples: ...
    def decode_latents(
        self, latents: Any, length: int | None = None, *, sample_rate: float | None = None
    ) -> Any:
        """Turn latents into sound, e.g. quantized ones or those a model of yours predicts.

        Args:
            latents: From `dequantize` or `latents`, [dim, frames] or [batch, dim, frames].
            length, sample_rate: Like those of `decode`.

        Returns:
            Sound, float32 in [-1, 1], [samples] or [batch, channels, samples].

        Raises:
            AudioError: The latents have a wrong shape or are not finite.
            FormatError, ConfigError: Like `decode`.
        """
        array, give_back = as_array(latents, "latents")
        batch, single = check_latents(array, self.config)
        step = self.runtime.decode_quantized
        return give_back(self._decode(step, batch, single, length, sample_rate))

    def encoder(
        self,
        bitrate: float | None = None,
        beam_width: int = 1,
        frames_per_packet: int = 1,
        *,
        num_codebooks: int | None = None,
        sample_rate: float | None = None,
    ) -> Encoder:
        """Open a stream of sound to code; see `Encoder` for the arguments.

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
        """Open a stream of packets to decode; see `Decoder` for the arguments.

        Raises:
            ConfigError: An argument has a value that is not offered.
        """
        return Decoder(self.runtime, frames_per_packet, sample_rate=sample_rate)

    def _encode(self, step: Step, batch: Samples, rate: int, none: NDArray[Any]) -> NDArray[Any]:
        """What `step` makes of the frames of [batch, channels, samples]; `none` of no frame."""
        audio = resample(batch, rate, self.sample_rate)
        audio = np.pad(audio, ((0, 0), (0, 0), (0, -audio.shape[2] % self.hop)))
        made = _in_steps(step, audio, self.runtime.encoder_state(len(audio)), self.hop)
        return np.concatenate([none, *made], axis=2)

    def _decode(
        self,
        step: Step,
        given: NDArray[Any],
        single: bool,
        length: int | None,
        sample_rate: float | None,
    ) -> Samples:
        """Sound of codes or latents, [batch, ..., frames], cut and shaped for the caller."""
        rate, frames = check_rate(sample_rate, self.sample_rate), given.shape[2]
        if length is not None:
            length = check_whole(length, "length", 0)
            if length > -(-frames * self.hop * rate // self.sample_rate):
                raise FormatError(f"{frames} frames hold fewer than {length} samples at {rate} Hz")
        none = np.zeros((len(given), self.channels, 0), np.float32)
        made = _in_steps(step, given, self.runtime.decoder_state(len(given)), 1)
        audio = np.clip(np.concatenate([none, *made], axis=2), -1, 1)
        audio = np.clip(resample(audio, self.sample_rate, rate), -1, 1)[..., :length]
        return as_signal(audio[0]) if single else audio


def _in_steps(step: Step, given: NDArray[Any], state: State, width: int) -> Iterator[NDArray[Any]]:
    """What a runtime makes of [batch, ..., frames * width], so many frames at a time that memory
    stays bounded."""
    for start in range(0, given.shape[2], size := CHUNK * width):
        made, state = step(given[..., start : start + size], state)
        yield made
