"""Sessions: one encoder object and one decoder object per stream, and whole signals at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiodec.errors import AudioError, ConfigError, FormatError
from audiodec.runtime.base import Codes, Runtime, Samples

CHUNK = 256  # frames per step when a long signal is processed
FADE = 0.06  # seconds in which concealment fades to silence
RECOVER = 0.005  # seconds in which the first packet after a loss fades back in
MAX_BEAM_WIDTH = 64


class Codec:
    """A loaded model. Signals are float32 in [-1, 1] at `sample_rate`.

    Most models code one channel: where `samples` stands in a shape below, a model that codes
    several together (`channels` above 1) has `channels, samples`.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.info = runtime.info
        config = runtime.info.codec
        self.config = config
        self.sample_rate: int = config.sample_rate  # Hz
        self.channels: int = config.channels  # coded together
        self.hop: int = config.hop  # samples per frame, also the algorithmic latency
        self.bitrates = [config.bitrate(s + 1) for s in range(config.quantizer.codebooks)]  # kbps

    def encode(
        self, samples: ArrayLike, bitrate: float | None = None, beam_width: int = 1
    ) -> Codes:
        """Code a whole signal; the last frame is filled up with zeros.

        Args:
            samples: [samples] or [batch, samples].
            bitrate: kbps, one of `bitrates`; the highest by default.
            beam_width: code sequences kept per frame, 1 to 64: higher is slower and better.

        Returns:
            codes, int64, [codebooks, frames] or [batch, codebooks, frames].

        Raises:
            AudioError: wrong shape, or values that are not finite.
            ConfigError: a bitrate or beam width that is not offered.
        """
        num_codebooks, beam_width = self.config.codebooks_for(bitrate), check_beam_width(beam_width)
        batch, single = _check_signals(samples, self.channels)
        frames = -(-batch.shape[2] // self.hop)
        padded = np.pad(batch, ((0, 0), (0, 0), (0, frames * self.hop - batch.shape[2])))
        state = self.runtime.encoder_state(len(batch))
        pieces = [np.zeros((len(batch), num_codebooks, 0), np.int64)]
        for start in range(0, frames, CHUNK):
            piece = padded[..., start * self.hop : (start + CHUNK) * self.hop]
            codes, state = self.runtime.encode(piece, state, num_codebooks, beam_width)
            pieces.append(codes)
        codes = np.concatenate(pieces, axis=2)
        return codes[0] if single else codes

    def decode(self, codes: ArrayLike, length: int | None = None) -> Samples:
        """Codes of a whole signal -> audio.

        Args:
            codes: [codebooks, frames] or [batch, codebooks, frames]; leading codebooks suffice.
            length: samples to return, at most frames * hop; all by default.

        Returns:
            [samples] or [batch, samples].

        Raises:
            FormatError: wrong shape, or codes beyond the codebooks.
        """
        array = self._check_codes(codes)
        batch = array if array.ndim == 3 else array[None]
        playback = Playback(self.runtime, len(batch))
        pieces = [np.zeros((len(batch), self.channels, 0), np.float32)]
        for start in range(0, batch.shape[2], CHUNK):
            pieces.append(playback.play(batch[..., start : start + CHUNK]))
        whole = np.concatenate(pieces, axis=2)[..., :length]
        if length is not None and whole.shape[2] != length:
            raise FormatError(f"{array.shape[-1]} frames hold fewer than {length} samples")
        signals = whole[:, 0] if self.channels == 1 else whole
        return signals if array.ndim == 3 else signals[0]

    def encoder(
        self, bitrate: float | None = None, beam_width: int = 1, frames_per_packet: int = 1
    ) -> Encoder:
        """A streaming encoder. Raises ConfigError like `encode`."""
        return Encoder(self.runtime, bitrate, beam_width, frames_per_packet)

    def decoder(self, frames_per_packet: int = 1) -> Decoder:
        """A streaming decoder for packets of that many frames, of any bitrate."""
        return Decoder(self.runtime, frames_per_packet)

    def _check_codes(self, codes: ArrayLike) -> Codes:
        array, q = np.asarray(codes), self.config.quantizer
        if array.ndim not in (2, 3) or not 0 < array.shape[-2] <= q.codebooks:
            raise FormatError(
                f"codes must be [codebooks, frames] or [batch, codebooks, frames] with 1 to "
                f"{q.codebooks} codebooks, not {array.shape}"
            )
        if not np.issubdtype(array.dtype, np.integer):
            raise FormatError(f"codes must be integers, not {array.dtype}")
        if array.size and not 0 <= array.min() <= array.max() < q.codebook_size:
            raise FormatError(f"codes must lie in 0..{q.codebook_size - 1}")
        return array.astype(np.int64)


class Encoder:
    """One stream: write any number of samples, get the packets they complete, then drain.

    Attributes:
        bitrate: kbps, one of the model's; may be changed at any time.
    """

    def __init__(
        self, runtime: Runtime, bitrate: float | None, beam_width: int, frames_per_packet: int
    ) -> None:
        self._runtime, self._config = runtime, runtime.info.codec
        self._beam_width = check_beam_width(beam_width)
        frames = _check_frames(frames_per_packet, self._config.quantizer.code_bits)
        self._format = self._config.packet_format(frames)
        self.bitrate = bitrate
        self.reset()

    @property
    def bitrate(self) -> float:
        return self._config.bitrate(self._num_codebooks)

    @bitrate.setter
    def bitrate(self, kbps: float | None) -> None:
        self._num_codebooks = self._config.codebooks_for(kbps)

    def reset(self) -> None:
        """Forget everything: the next sample begins a new stream."""
        self._state = self._runtime.encoder_state(1)
        self._waiting = np.zeros((self._config.channels, 0), np.float32)

    def write(self, samples: ArrayLike) -> list[bytes]:
        """Add samples [n]; returns the packets now complete, oldest first.

        Raises:
            AudioError: wrong shape, or values that are not finite.
        """
        audio, single = _check_signals(samples, self._config.channels)
        if not single:
            raise AudioError(f"a stream takes one signal, not a batch of {np.shape(samples)}")
        self._waiting = np.concatenate([self._waiting, audio[0]], axis=1)
        size = self._format.samples
        ready = self._waiting.shape[1] // size * size
        packets: list[bytes] = []
        for start in range(0, ready, step := size * max(1, CHUNK // self._format.frames)):
            packets += self._encode(self._waiting[:, start : min(start + step, ready)])
        self._waiting = self._waiting[:, ready:].copy()
        return packets

    def drain(self) -> list[bytes]:
        """Fill the last packet up with zeros, return it if there is one, and reset."""
        missing = -self._waiting.shape[1] % self._format.samples
        self._waiting = np.pad(self._waiting, ((0, 0), (0, missing)))
        packets = self._encode(self._waiting) if self._waiting.size else []
        self.reset()
        return packets

    def _encode(self, samples: Samples) -> list[bytes]:
        codes, self._state = self._runtime.encode(
            np.ascontiguousarray(samples)[None], self._state, self._num_codebooks, self._beam_width
        )
        step = self._format.frames
        starts = range(0, codes.shape[2], step)
        return [self._format.pack(codes[0, :, start : start + step]) for start in starts]


class Decoder:
    """One stream: a packet in, its samples out; None for a lost packet."""

    def __init__(self, runtime: Runtime, frames_per_packet: int) -> None:
        self._runtime, config = runtime, runtime.info.codec
        frames = _check_frames(frames_per_packet, config.quantizer.code_bits)
        self._format = config.packet_format(frames)
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next packet begins a new stream."""
        self._playback = Playback(self._runtime, batch=1)

    def decode(self, packet: bytes | None) -> Samples:
        """Audio of one packet, [frames_per_packet * hop].

        A lost packet (None) repeats the last frame received and fades to silence; what comes
        after is right again as soon as the decoder has forgotten the loss (150 ms).

        Raises:
            FormatError: the bytes are no packet of this stream; the stream is unchanged.
        """
        if packet is None:
            return self._signal(self._playback.conceal(self._format.frames))
        return self._signal(self._playback.play(self._format.unpack(packet)[None]))

    def _signal(self, audio: Samples) -> Samples:
        """[1, channels, samples] -> [samples], or [channels, samples] of several channels."""
        signal: Samples = audio[0, 0] if audio.shape[1] == 1 else audio[0]
        return signal


class Playback:
    """Codes of parallel streams in, audio out, with concealment of what is missing."""

    def __init__(self, runtime: Runtime, batch: int) -> None:
        self._runtime, self._config, self._batch = runtime, runtime.info.codec, batch
        self._state = runtime.decoder_state(batch)
        self._last: Codes | None = None  # the newest frame received, [batch, codebooks, 1]
        self._gain = 1.0  # where concealment has faded to

    def play(self, codes: Codes) -> Samples:
        """Codes [batch, codebooks, frames] -> audio [batch, channels, frames * hop]."""
        self._last = codes[..., -1:]
        audio = self._step(codes)
        if self._gain < 1:
            ramp = min(audio.shape[2], round(RECOVER * self._config.sample_rate))
            audio[..., :ramp] *= np.linspace(self._gain, 1, ramp, dtype=np.float32)
            self._gain = 1.0
        return audio

    def conceal(self, frames: int) -> Samples:
        """Audio [batch, channels, frames * hop] in place of lost frames; silence before the
        first."""
        samples = frames * self._config.hop
        if self._last is None:
            return np.zeros((self._batch, self._config.channels, samples), np.float32)
        audio = self._step(np.repeat(self._last, frames, axis=2))
        fade = np.arange(1, samples + 1, dtype=np.float32) / (FADE * self._config.sample_rate)
        gain = np.maximum(self._gain - fade, 0)
        self._gain = float(gain[-1])
        faded: Samples = np.asarray(audio * gain, np.float32)
        return faded

    def _step(self, codes: Codes) -> Samples:
        audio, self._state = self._runtime.decode(codes, self._state)
        return np.clip(audio, -1, 1)


def check_beam_width(beam_width: int) -> int:
    """Raises ConfigError unless 1 to 64."""
    if not 1 <= beam_width <= MAX_BEAM_WIDTH:
        raise ConfigError(f"beam width must be 1 to {MAX_BEAM_WIDTH}, not {beam_width}")
    return beam_width


def _check_frames(frames: int, bits: int) -> int:
    """Raises ConfigError unless 1 to 1000 frames, and so many that a codebook is a byte or more:
    a packet's length must tell its codebooks."""
    least = -(-8 // bits)
    if not least <= frames <= 1000:
        raise ConfigError(f"frames_per_packet must be {least} to 1000, not {frames}")
    return frames


def _check_signals(samples: ArrayLike, channels: int) -> tuple[Samples, bool]:
    """One signal or a batch -> [batch, channels, samples], and whether it was one.

    Raises:
        AudioError: wrong shape or type, or values that are not finite.
    """
    array: NDArray[np.generic] = np.asarray(samples)
    shape = "" if channels == 1 else f"{channels}, "
    usual = 1 if channels == 1 else 2  # dimensions of one signal
    if array.ndim not in (usual, usual + 1) or (channels > 1 and array.shape[-2] != channels):
        raise AudioError(
            f"audio must be [{shape}samples] or [batch, {shape}samples], not {array.shape}"
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise AudioError(
            f"audio must be float in [-1, 1], not {array.dtype}; divide integers first"
        )
    audio = array.astype(np.float32)
    if not np.isfinite(audio).all():
        raise AudioError("audio holds values that are not finite")
    single = array.ndim == usual
    return audio.reshape(1 if single else len(array), channels, array.shape[-1]), single
