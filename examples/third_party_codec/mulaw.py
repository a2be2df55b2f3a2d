"""Eight-bit mu-law as a third party's codec: ten lines, and an entry point in pyproject.toml."""

import numpy as np

from audiodec.evaluation.codecs import Family


class MuLaw:
    name, family, kbps, sample_rate = "mu-law 64", "mu-law", 64.0, 8000
    latency_ms, streaming = 20.0, True  # in packets of 20 ms

    def __init__(self, kbps):
        pass  # it has one rate

    def encode(self, samples):
        curve = np.sign(samples) * np.log1p(255 * np.abs(samples).clip(0, 1)) / np.log(256)
        levels = np.round(127.5 + 127.5 * curve).astype(np.uint8)
        return [levels[at : at + 160].tobytes() for at in range(0, len(levels), 160)]

    def decode(self, packets):
        curve = np.frombuffer(b"".join(packets), np.uint8) / np.float32(127.5) - 1
        return np.float32(np.sign(curve) * (256 ** np.abs(curve) - 1) / 255)


FAMILY = Family(make=MuLaw, rates=(64,))
