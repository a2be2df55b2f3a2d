"""Audio files as sound devices, at the pace of the system's clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np

from audiodec.audio_files.recording import record
from audiodec.errors import AudioError
from audiodec.sound.devices import Callback
from audiodec.sound.voices import file_source


class _Paced:
    """Blocks from a thread that keeps absolute deadlines."""

    def __init__(self, name: str, rate: int, block: int) -> None:
        self.name, self.rate, self.block = name, rate, block
        self.latency, self.ended, self.faults = 0.0, False, 0
        self._files = ExitStack()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._files.close()

    def _run(self, tick: Callable[[], bool], blocks: int) -> None:
        """Call `tick` once per block, first after that many blocks, until it says False."""

        def run() -> None:
            deadline = time.monotonic() + blocks * self.block / self.rate
            try:
                while not self._stop.wait(deadline - time.monotonic()) and tick():
                    deadline += self.block / self.rate
            finally:
                self.ended = True

        self._thread = threading.Thread(target=run, name=self.name, daemon=True)
        self._thread.start()


class FileMicrophone(_Paced):
    """Hears an audio file, resampled and mixed to mono.

    Raises:
        AudioError: the file cannot be read.
    """

    def __init__(self, path: str, rate: int, block: int) -> None:
        super().__init__(path, rate, block)
        self._source = self._files.enter_context(file_source(path, rate))

    def start(self, callback: Callback) -> None:
        def tick() -> bool:
            try:
                block = self._source.read(self.block)
            except AudioError:
                return False  # a damaged file ends where it is damaged
            if block is not None:
                callback(block)
            return block is not None

        self._run(tick, blocks=1)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines that say what is wrong with the file, so far as it has been read."""
        return self._source.warnings

    @property
    def missing_seconds(self) -> float:
        """That the file should hold but does not."""
        return self._source.missing_seconds


class FileLoudspeaker(_Paced):
    """Sounds into an audio file, which appears when the device stops.

    When the disk is full, the device ends, and `stop` raises AudioError; what was sounded before is
    kept.
    """

    def start(self, callback: Callback) -> None:
        recording = self._files.enter_context(record(self.name, self.rate))
        block = np.zeros(self.block, np.float32)

        def tick() -> bool:
            callback(block)
            try:
                recording.write(block)
            except AudioError:
                return False
            return True

        self._run(tick, blocks=0)
