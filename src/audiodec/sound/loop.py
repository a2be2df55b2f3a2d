"""Microphone -> encoder -> packets -> decoder -> loudspeaker, in one process."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import numpy as np

from audiodec.arrays import Samples
from audiodec.codec import Codec
from audiodec.errors import AudioError
from audiodec.sound.capture import Capture, Clock, Playout
from audiodec.sound.devices import AudioDevice
from audiodec.sound.drift import DelayControl
from audiodec.sound.meters import Histogram, Level, Snapshot, Spread
from audiodec.sound.ring import Ring

MARGIN_S = 0.0009  # seconds for encoding and decoding one packet, resampling, and clocks that drift
JUMP_S = 0.02  # seconds of excess delay beyond which sound is left out rather than sped up


class LiveLoop:
    """One live stream; a context that starts and stops both devices.

    The delay from microphone to loudspeaker is set once, when the first packet is decoded, and then
    kept: a frame, a block each way, and `MARGIN_S`. That much always suffices, however the blocks
    of the two devices lie to each other and to the frames.

    Args:
        bitrate: kbps; the highest by default.
        clock: the time of the devices, seconds.
        taps: are given what the microphone hears and what the loudspeaker sounds.

    Raises:
        AudioError: devices and model do not fit.
        ConfigError: a bitrate that is not offered.
    """

    def __init__(
        self,
        codec: Codec,
        microphone: AudioDevice,
        loudspeaker: AudioDevice,
        bitrate: float | None = None,
        clock: Clock = time.perf_counter,
        taps: tuple[Ring | None, Ring | None] = (None, None),
    ) -> None:
        if codec.channels != 1:
            raise AudioError(f"{codec.info.id} codes {codec.channels} channels; live is mono")
        for device in (microphone, loudspeaker):
            if device.rate != codec.sample_rate:
                raise AudioError(f"{device.name} must run at {codec.sample_rate} Hz")
        self._encoder, self._decoder = codec.encoder(bitrate), codec.decoder()
        self._hop, self._rate, self._clock = codec.hop, codec.sample_rate, clock
        self._capture = Capture(microphone, clock, taps[0])
        self._playout = Playout(loudspeaker, clock, taps[1])
        waiting = (codec.hop + microphone.block + loudspeaker.block) / codec.sample_rate
        self._control = DelayControl(waiting + MARGIN_S)
        self._coded = self._bytes = self._missing = self._skipped = 0
        self._times = {"encode": Histogram(), "decode": Histogram(), "delay": Histogram()}
        self._levels = Level(), Level()
        codec.decode(codec.encode(np.zeros(codec.hop, np.float32)))  # the first run is slow

    def __enter__(self) -> LiveLoop:
        try:
            self._playout.start()
            self._capture.start()
        except AudioError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._capture.device.stop()
        self._playout.device.stop()

    @property
    def ready(self) -> bool:
        """Whether a packet's worth of sound waits to be coded."""
        return len(self._capture) >= (1 if self._capture.device.ended else self._hop)

    @property
    def finished(self) -> bool:
        """The microphone has ended, and all of it has sounded."""
        return self._capture.device.ended and not self.ready and self._playout.silent

    def run(self, stop: threading.Event) -> None:
        """Code until told to stop, or until the microphone ends; for a thread of its own."""
        while not stop.is_set() and not self.finished:
            if not self.work():
                self._capture.wait(0.05)

    def work(self) -> bool:
        """Code one packet, if there is one."""
        self._catch_up()
        frame = self._capture.read(self._hop)
        if frame is None:
            return False
        begin = time.perf_counter()
        (packet,) = self._encoder.write(frame)
        middle = time.perf_counter()
        audio = self._decoder.decode(packet)
        end = time.perf_counter()
        self._times["encode"].add(1000 * (middle - begin))
        self._times["decode"].add(1000 * (end - middle))
        self._bytes += len(packet)
        for level, samples in zip(self._levels, (frame, audio), strict=True):
            level.add(samples, self._rate)
        self._play(audio)
        return True

    def _delay(self) -> float:
        """Count samples between the hearing and the sounding of the sample that is coded next."""
        now = self._clock()
        return self._capture.heard(now) - self._coded + self._playout.pending(now)

    def _catch_up(self) -> None:
        """After a pause of machine or device, leave sound out rather than stay late."""
        excess = round(self._delay() - self._control.target * self._rate)
        if self._coded and excess > JUMP_S * self._rate:
            left_out = self._capture.discard(excess)
            self._coded += left_out
            self._skipped += left_out

    def _play(self, audio: Samples) -> None:
        """Hand a decoded frame to the loudspeaker so that the delay stays on target."""
        delay = self._delay() / self._rate
        if not self._coded:
            silence = max(0, round((self._control.target - delay) * self._rate))
            self._playout.write(np.zeros(silence, np.float32))
            delay += silence / self._rate
        missed = (self._playout.missing - self._missing) / self._rate
        self._missing = self._playout.missing
        if 0 < missed < JUMP_S:  # a pause longer than that says nothing about the usual jitter
            self._control.missed(missed)
        ratio = self._control.update(delay, self._hop / self._rate)
        self._coded += self._hop
        self._playout.write(audio, ratio)
        self._times["delay"].add(1000 * delay)

    def snapshot(self) -> Snapshot:
        """Give the figures up to now, from any thread."""
        microphone, loudspeaker = self._capture.device, self._playout.device
        seconds, ms = (self._coded - self._skipped) / self._rate, 1000 / self._rate
        return Snapshot(
            seconds=round(seconds, 3),
            input_dbfs=round(self._levels[0].dbfs, 1),
            output_dbfs=round(self._levels[1].dbfs, 1),
            kbps=round(self._bytes * 8 / 1000 / seconds, 3) if seconds else 0.0,
            encode_ms=Spread.of(self._times["encode"]),
            decode_ms=Spread.of(self._times["decode"]),
            buffer_ms=round(ms * self._playout.pending(self._clock()), 2),
            delay_ms=Spread.of(self._times["delay"]),
            target_ms=round(1000 * self._control.target, 2),
            device_ms=round(1000 * (microphone.latency + loudspeaker.latency), 2),
            drift_ppm=round(self._control.drift, 1),
            lost_ms=round(ms * self._capture.lost, 2),
            missing_ms=round(ms * self._missing, 2),
            skipped_ms=round(ms * self._skipped, 2),
            faults=microphone.faults + loudspeaker.faults,
        )
