"""A loaded model between sound and codes: latents, for those who train and predict them."""

from __future__ import annotations

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
from audiodec.runtime.base import CHUNK_FRAMES, Runtime
from audiodec.runtime.steps import Step, Steps, cut
from audiodec.session import as_signal

T = TypeVar("T", bound=Tensor)


class LatentCodec:
    """The methods of a `Codec` that take or give latents, and how whole signals are coded.

    Args:
        runtime: What computes.

    Attributes:
        runtime: What computes.
        info: Identity of the model and hashes of its files.
        config: What the network is made of.
        sample_rate: Hz at which the model codes.
        channels: Channels that are coded together.
        hop: Samples per frame, which is also the algorithmic latency.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.info = runtime.info
        self.config = config = runtime.info.codec
        self.sample_rate: int = config.sample_rate
        self.channels: int = config.channels
        self.hop: int = config.hop

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

    def _encode(self, step: Step, batch: Samples, rate: int, none: NDArray[Any]) -> NDArray[Any]:
        """Give what `step` makes of the frames of [batch, channels, samples], `none` of none."""
        audio = resample(batch, rate, self.sample_rate)
        audio = np.pad(audio, ((0, 0), (0, 0), (0, -audio.shape[2] % self.hop)))
        steps = Steps(step, self.runtime.encoder_state(len(audio)))
        made = steps.through(cut(audio, CHUNK_FRAMES * self.hop))
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
        steps = Steps(step, self.runtime.decoder_state(len(given)))
        made = steps.through(cut(given, CHUNK_FRAMES))
        audio = np.clip(np.concatenate([none, *made], axis=2), -1, 1)
        audio = np.clip(resample(audio, self.sample_rate, rate), -1, 1)[..., :length]
        return as_signal(audio[0]) if single else audio
