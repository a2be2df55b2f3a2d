"""Sound devices through PortAudio: ALSA, PulseAudio, PipeWire, CoreAudio, WASAPI."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from audiodec.errors import AudioError, MissingExtraError
from audiodec.sound.devices import Callback


@dataclass(frozen=True)
class DeviceInfo:
    """A device as PortAudio lists it.

    Attributes:
        inputs, outputs: channels.
        default: it is the system's choice for `input`, `output`, both or neither.
        rate: Hz, its usual one.
    """

    number: int
    name: str
    system: str
    inputs: int
    outputs: int
    default: tuple[str, ...]
    rate: float


def list_devices() -> list[DeviceInfo]:
    """List the sound devices of this machine.

    Raises:
        MissingExtraError: no sounddevice, or no PortAudio library.
    """
    sounddevice = _sounddevice()
    systems = sounddevice.query_hostapis()
    chosen = dict(zip(("input", "output"), sounddevice.default.device, strict=True))
    for kind, number in chosen.items():
        if number < 0 and systems:  # the user's choice comes first, then the first system's
            chosen[kind] = systems[0][f"default_{kind}_device"]
    return [
        DeviceInfo(
            d["index"], d["name"], systems[d["hostapi"]]["name"],
            d["max_input_channels"], d["max_output_channels"],
            tuple(kind for kind, number in chosen.items() if number == d["index"]),
            d["default_samplerate"],
        )
        for d in sounddevice.query_devices()
    ]  # fmt: skip


class PortAudioDevice:
    """A microphone or a loudspeaker.

    Args:
        kind: `input` or `output`.
        wanted: number or part of a name, as `list_devices` gives them; None: the system's choice.

    Raises:
        AudioError: no such device, or it does not do mono at that rate.
        MissingExtraError: no sounddevice, or no PortAudio library.
    """

    def __init__(self, kind: str, wanted: str | None, rate: int, block: int) -> None:
        sounddevice = _sounddevice()
        number = int(wanted) if wanted is not None and wanted.isdecimal() else wanted
        open_stream = sounddevice.InputStream if kind == "input" else sounddevice.OutputStream
        try:
            self.name: str = sounddevice.query_devices(number, kind)["name"]
            self._stream = open_stream(
                rate, block, number, channels=1, dtype="float32", latency="low",
                callback=self._called,
            )  # fmt: skip
        except (ValueError, sounddevice.PortAudioError) as error:
            reason = " ".join(str(error).split()).removesuffix(".")
            raise AudioError(
                f"{kind} device {wanted or 'of the system'} at {rate} Hz: {reason}; "
                "`audiodec devices` lists what there is"
            ) from None
        self.rate, self.block = rate, block
        self.latency: float = self._stream.latency
        self.ended, self.faults = False, 0
        self._error = sounddevice.PortAudioError
        self._callback: Callback | None = None

    def start(self, callback: Callback) -> None:
        self._callback = callback
        try:
            self._stream.start()
        except self._error as error:
            raise AudioError(f"{self.name} does not start: {error}") from None

    def stop(self) -> None:
        self._stream.close()

    def _called(self, block: np.ndarray, frames: int, time: Any, status: Any) -> None:
        if status:  # the driver had to drop or to repeat something
            self.faults += 1
        if self._callback is not None:
            self._callback(block[:, 0])


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ImportError:
        raise MissingExtraError("sound devices", "live") from None
    except OSError:  # it is there, but the library it binds is not
        raise AudioError(
            "sound devices need the PortAudio library: apt install libportaudio2, "
            "or your system's package of it"
        ) from None
    return sounddevice  # type: ignore[no-any-return]
