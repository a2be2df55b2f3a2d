"""Scores of the codec as it stands, on fixed clips of speakers it never hears in training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soxr
import torch

from audiodec.arrays import Samples
from audiodec.audio_files.folder import list_folder
from audiodec.audio_files.reading import read_audio
from audiodec.config import CodecConfig
from audiodec.errors import AudioError, ConfigError, MissingExtraError
from audiodec.evaluation.metrics import METRICS
from audiodec.nn.network import Network
from audiodec.training.recipe import Validation

QUICK = ("PESQ-WB", "ESTOI", "mel distance", "SNR dB")


@dataclass
class Report:
    """Mean scores by name, and (original, coded) of the clips to show, mixed to mono."""

    scores: dict[str, float] = field(default_factory=dict)
    shown: list[tuple[Samples, Samples]] = field(default_factory=list)


class Validator:
    """Loads the clips once; `run` codes and scores them.

    Raises:
        ConfigError: a clip or folder is missing, or a clip has too few channels.
    """

    def __init__(self, validation: Validation, codec: CodecConfig) -> None:
        self.validation, self.rate, self.channels = validation, codec.sample_rate, codec.channels
        self.clips = []
        for name in validation.clips:
            path = Path(name)
            if not path.exists():
                raise ConfigError(f"validation clip {path} does not exist")
            found = list_folder(path).files if path.is_dir() else []
            self.clips += [self._read(p, codec.hop) for p in found or [path]]

    def _read(self, path: Path, hop: int) -> Samples:
        """[channels, samples], whole frames."""
        sound = read_audio(str(path))
        samples, rate = sound.samples, sound.rate
        if self.channels == 1:
            samples = samples.mean(1, keepdims=True)
        if samples.shape[1] < self.channels:
            raise ConfigError(f"validation clip {path} has fewer than {self.channels} channels")
        samples = soxr.resample(samples[:, : self.channels], rate, self.rate)
        length = min(len(samples), round(self.validation.seconds * self.rate)) // hop * hop
        return np.ascontiguousarray(samples[:length].T, np.float32)

    @torch.no_grad()
    def run(self, network: Network, quantize: bool) -> Report:
        """Score every clip at the full rate, or without quantizer when it has not started."""
        report, values = Report(), dict[str, list[float]]()
        device = network.quantizer.codebooks.device
        for clip in self.clips:
            latents = network.encoder(torch.from_numpy(clip)[None].to(device))
            if quantize:
                latents = network.quantizer.decode(network.quantizer.encode(latents))
            original, coded = clip.mean(0), network.decoder(latents)[0].mean(0).cpu().numpy()
            if len(report.shown) < self.validation.pictures:
                report.shown.append((original, coded))
            for name in QUICK:
                try:
                    values.setdefault(name, []).append(METRICS[name](original, coded, self.rate))
                except (MissingExtraError, AudioError):
                    continue
        report.scores = {name: float(np.mean(v)) for name, v in values.items() if v}
        return report
