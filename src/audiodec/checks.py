"""What a user hands over, checked: whatever could be miscoded is refused with its cure.

Arrays and torch tensors are taken alike; torch is never imported for that.
"""

from __future__ import annotations

import operator
import sys
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audiodec.arrays import Codes, Samples
from audiodec.config import CodecConfig
from audiodec.errors import AudioError, ConfigError, FormatError
from audiodec.resampling import MAX_RATE, MIN_RATE

WARNED_PEAK, REFUSED_PEAK = 2.0, 10.0  # of samples whose full scale is 1
MAX_BEAM_WIDTH = 64  # code sequences
MAX_PACKET_FRAMES = 1000
MAX_INTERLEAVED = 16  # as the last of two dimensions these are channels, not samples
FULL_SCALES = {"int16": 32768, "int32": 2147483648}


class Tensor(Protocol):
    """A torch tensor, told from an array by what only it has."""

    def detach(self) -> Any:
        """Give the tensor without its gradient."""
        ...


GiveBack = Callable[[NDArray[Any]], Any]  # an array as what the caller's argument was


def as_array(value: object, name: str) -> tuple[NDArray[Any], GiveBack]:
    """Take an array or torch tensor as an array, and tell how to give results back alike.

    Args:
        name: of the argument, for errors.

    Raises:
        AudioError: the value is no array, or a tensor whose gradient would be lost.
    """
    torch = sys.modules.get("torch")  # who has a tensor has imported it
    if torch is not None and isinstance(value, torch.Tensor):
        if value.requires_grad and torch.is_grad_enabled():
            raise AudioError(
                f"{name} require a gradient, which a Codec cannot give: train through "
                f"codec.network, or pass {name}.detach()"
            )
        host = value.detach().cpu()
        array = (host.float() if host.is_floating_point() else host).numpy()
        return array, lambda result: torch.from_numpy(result).to(value.device)
    try:
        return np.asarray(value), lambda result: result
    except (TypeError, ValueError) as error:
        raise AudioError(f"{name} are no array: {error}") from None


def check_signals(given: object, channels: int) -> tuple[Samples, bool, GiveBack]:
    """Check one signal or a batch of them, and give it as [batch, channels, samples], whether it
    was one, and how to give back what is made of it.

    Raises:
        AudioError: a shape that is ambiguous or does not fit, integers, values that are not
            finite or far beyond full scale.
    """
    samples, give_back = as_array(given, "samples")
    if samples.dtype.kind in "US" and not samples.ndim:
        raise AudioError("samples are text: a file is coded by audiodec.encode_file")
    shape, signal_dimensions = samples.shape, 1 if channels == 1 else 2
    single = samples.ndim == signal_dimensions
    if not (single or samples.ndim == 3) or (
        (channels > 1 or not single) and (samples.shape[-2] != channels)
    ):
        raise AudioError(_shape_advice(shape, channels))
    if not single and not shape[0]:
        raise AudioError(f"the batch is empty: samples are {list(shape)}")
    if not np.issubdtype(samples.dtype, np.floating):
        scale = FULL_SCALES.get(str(samples.dtype))
        cure = f"divide them by {scale}" if scale else "convert them"
        raise AudioError(f"samples are {samples.dtype}, not floats in [-1, 1]: {cure}")
    with np.errstate(over="ignore"):
        audio = samples.astype(np.float32)
    check_level(audio)
    batch = audio.reshape(1 if single else len(audio), channels, shape[-1])
    return batch, single, give_back


def check_level(audio: Samples) -> None:
    """Warn of samples above 2, of which the decoder clips the most.

    Raises:
        AudioError: values that are not finite, or above 10, e.g. floats at 16-bit scale.
    """
    if not audio.size:
        return
    high, low = float(audio.max()), float(audio.min())
    if not np.isfinite(high) or not np.isfinite(low):
        raise AudioError("samples hold values that are not finite (NaN or infinity)")
    peak = max(high, -low)
    if peak > REFUSED_PEAK:
        raise AudioError(
            f"samples peak at {peak:.6g}, but full scale is 1: divide 16-bit values by 32768"
        )
    if peak > WARNED_PEAK:
        warnings.warn(
            f"samples peak at {peak:.3g}; what is beyond full scale, 1, will be clipped",
            stacklevel=4,
        )


def _shape_advice(shape: tuple[int, ...], channels: int) -> str:
    """Why samples of this shape are refused, and what to give instead."""
    signal = "[samples]" if channels == 1 else f"[{channels}, samples]"
    rule = f"samples are {list(shape)}: a signal is {signal}, a batch [batch, {channels}, samples]"
    if channels > 1:
        if shape[-1:] == (channels,):
            return f"{rule}. Channels come first: samples.T"
        return f"{rule}; this model codes {channels} channels together"
    if 0 in shape:
        return f"{rule}. There is no sample in these"
    if len(shape) == 2 and shape[0] == 1:
        return f"{rule}. The signal in it is samples[0]"
    if len(shape) == 2 and shape[1] == 1:
        return f"{rule}. The signal in it is samples[:, 0]"
    if len(shape) == 2 and shape[1] <= MAX_INTERLEAVED and shape[1] < shape[0]:
        return (
            f"{rule}. If these are {shape[1]} channels, samples.mean(1) mixes them and "
            "samples.T[:, None] is a batch with each by itself"
        )
    if len(shape) == 2:
        return (
            f"{rule}. If these are {shape[0]} channels, samples.mean(0) mixes them; "
            f"if they are {shape[0]} signals, samples[:, None] is the batch"
        )
    if len(shape) == 3:
        return (
            f"{rule}. This model codes one channel: samples.mean(1)[:, None] mixes "
            f"{shape[1]} of them"
        )
    return rule


def check_codes(codes: NDArray[Any], config: CodecConfig) -> tuple[Codes, bool]:
    """Check codes of one signal or of a batch, and give them as [batch, codebooks, frames], and
    whether it was one.

    Raises:
        FormatError: wrong shape or type, an empty batch, or codes beyond the codebooks.
    """
    q = config.quantizer
    if codes.ndim not in (2, 3) or not 0 < codes.shape[-2] <= q.codebooks:
        raise FormatError(
            f"codes are {list(codes.shape)}: they must be [codebooks, frames] or [batch, "
            f"codebooks, frames] with 1 to {q.codebooks} codebooks"
        )
    if not np.issubdtype(codes.dtype, np.integer):
        raise FormatError(f"codes must be integers, not {codes.dtype}")
    if codes.ndim == 3 and not len(codes):
        raise FormatError(f"the batch is empty: codes are {list(codes.shape)}")
    if codes.size and not 0 <= codes.min() <= codes.max() < q.codebook_size:
        raise FormatError(
            f"codes must lie in 0..{q.codebook_size - 1}, not {codes.min()}..{codes.max()}"
        )
    single = codes.ndim == 2
    return (codes[None] if single else codes).astype(np.int64), single


def check_latents(latents: NDArray[Any], config: CodecConfig) -> tuple[Samples, bool]:
    """Check latents of one signal or of a batch, and give them as [batch, dim, frames], and whether
    it was one.

    Raises:
        AudioError: wrong shape or type, an empty batch, or values that are not finite.
    """
    dim = config.quantizer.dim
    if latents.ndim not in (2, 3) or latents.shape[-2] != dim or not len(latents):
        raise AudioError(
            f"latents are {list(latents.shape)}: they must be [{dim}, frames] or "
            f"[batch, {dim}, frames]"
        )
    if not np.issubdtype(latents.dtype, np.floating):
        raise AudioError(f"latents must be floats, not {latents.dtype}")
    if not np.isfinite(latents).all():
        raise AudioError("latents hold values that are not finite (NaN or infinity)")
    single = latents.ndim == 2
    return (latents[None] if single else latents).astype(np.float32), single


def check_whole(value: object, name: str, least: int, most: int | None = None) -> int:
    """Check an argument that must be a whole number in a range; without an end if `most` is None.

    Raises:
        ConfigError: it is not.
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if number < least or (most is not None and number > most):
        limits = f"{least} or more" if most is None else f"{least} to {most}"
        raise ConfigError(f"{name} must be a whole number, {limits}, not {value!r}")
    return number


def check_rate(sample_rate: object, default: int) -> int:
    """Check a sample rate in Hz; the model's own if None.

    Raises:
        ConfigError: no whole number from 1,000 to 768,000.
    """
    if sample_rate is None:
        return default
    if isinstance(sample_rate, float | np.floating) and float(sample_rate).is_integer():
        sample_rate = int(sample_rate)
    return check_whole(sample_rate, "sample_rate", MIN_RATE, MAX_RATE)


def check_beam_width(beam_width: object) -> int:
    """Check a beam width. Raises ConfigError unless 1 to 64."""
    return check_whole(beam_width, "beam_width", 1, MAX_BEAM_WIDTH)


def check_packet_frames(frames: object, code_bits: int) -> int:
    """Check frames per packet. Raises ConfigError unless 1 to 1000, and so many that a codebook's
    codes fill a byte or more: a packet's length must tell its codebooks."""
    return check_whole(frames, "frames_per_packet", -(-8 // code_bits), MAX_PACKET_FRAMES)


def count_codebooks(config: CodecConfig, bitrate: float | None, num_codebooks: int | None) -> int:
    """Count the codebooks to code with: as told by either argument, all if by none.

    Raises:
        ConfigError: the model does not offer that, or the two contradict each other.
    """
    if num_codebooks is None:
        return config.codebooks_for(bitrate)
    count = check_whole(num_codebooks, "num_codebooks", 1, config.quantizer.codebooks)
    if bitrate is not None and config.codebooks_for(bitrate) != count:
        raise ConfigError(
            f"bitrate={bitrate:g} is num_codebooks={config.codebooks_for(bitrate)}, not {count}: "
            "give one of the two"
        )
    return count
