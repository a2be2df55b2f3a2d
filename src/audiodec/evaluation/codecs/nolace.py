"""Opus decoded with NoLACE, the neural enhancement of its low rates, in Node.

Same packets as `opus`: NoLACE (Buethe et al., 2024) only changes the decoder. The WebAssembly
build is npm's @wasm-audio-decoders/opus-ml; libopus as Linux distributes it has no weights.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np

from audiodec.arrays import Samples
from audiodec.errors import AudioDecError
from audiodec.evaluation.codecs import opus
from audiodec.evaluation.codecs.base import RATE, Family, MissingCodecError, home

PACKAGE, VERSION = "@wasm-audio-decoders/opus-ml", "0.0.3"
SCRIPT = Path(__file__).with_name("nolace.mjs")
TIMEOUT_S = 60  # seconds, and twice as many as the audio lasts


class OpusNolace:
    """Opus's own choice of bandwidth, and NoLACE behind it.

    Args:
        kbps: nominal.

    Raises:
        MissingCodecError: Node or the package is not installed.
    """

    sample_rate = RATE
    streaming = True

    def __init__(self, kbps: float) -> None:
        if reason := missing():
            raise MissingCodecError(reason)
        self.encoder, self.kbps = opus.Opus(kbps, fullband=False), kbps
        self.family = f"{self.encoder.family} + NoLACE"
        self.name = f"{self.family} {kbps:g}"
        self.latency_ms = self.encoder.latency_ms

    def encode(self, samples: Samples) -> list[bytes]:
        return self.encoder.encode(samples)

    def decode(self, packets: list[bytes]) -> Samples:
        stream = b"".join(struct.pack("<I", len(packet)) + packet for packet in packets)
        command = ["node", str(SCRIPT), str(_module())]
        limit = TIMEOUT_S + 2 * len(packets) * opus.FRAME_SAMPLES / RATE
        try:
            done = subprocess.run(command, input=stream, capture_output=True, timeout=limit)
        except subprocess.TimeoutExpired:
            raise AudioDecError(f"{PACKAGE} did not finish in {limit:.0f} s") from None
        if done.returncode or len(done.stdout) != 4 * opus.FRAME_SAMPLES * len(packets):
            lines = done.stderr.decode(errors="replace").splitlines()
            raise AudioDecError(f"{PACKAGE} failed in Node: {(lines or ['it says nothing'])[-1]}")
        return np.frombuffer(done.stdout, np.float32)[self.encoder.delay :]


def _module() -> Path:
    return home("nolace") / "node_modules" / PACKAGE / "index.js"


def missing() -> str | None:
    """Say how to get the codec; None where it is there."""
    if reason := opus.missing():
        return reason
    if shutil.which("node") is None:
        return "Opus + NoLACE needs Node 18 or newer: apt-get install nodejs npm"
    if not _module().is_file():
        command = f"npm install --prefix {home('nolace')} {PACKAGE}@{VERSION}"
        return f"Opus + NoLACE needs its decoder: {command}"
    return None


FAMILY = Family(OpusNolace, opus.RATES, continuous=True, missing=missing)
