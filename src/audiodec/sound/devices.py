"""Sound devices: one direction of sound hardware each, behind one small interface.

Microphone and loudspeaker are two devices with two clocks, even when they are one card: what works
for a USB microphone beside a built-in loudspeaker works for every pair.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from audiodec.arrays import Samples

Callback = Callable[[Samples], None]  # a block [block]: a microphone's to take, a speaker's to fill


class AudioDevice(Protocol):
    """A microphone or a loudspeaker, mono float32 in [-1, 1].

    From `start` to `stop` the device calls back once per block, on a thread of its own: a
    microphone when the last sample of the block has been heard, a loudspeaker when the block is
    about to sound. A callback must not wait, and must not keep the block.

    Attributes:
        name: for people.
        rate: Hz, nominal; the real clock is some ppm off.
        block: samples per callback.
        latency: seconds that hardware and driver add, as far as they tell.
        ended: nothing more will come, as at the end of a file.
        faults: blocks the driver says it lost.
    """

    name: str
    rate: int
    block: int
    latency: float
    ended: bool
    faults: int

    def start(self, callback: Callback) -> None:
        """Begin calling back. Raises AudioError when the device refuses."""
        ...

    def stop(self) -> None:
        """End; afterwards no callback runs. May be called twice."""
        ...
