"""Teach a model to guess lost frames: its concealment graph, from codes of speech alone.

    audiodec tokenize LIST tokens --format webdataset --beam-width 1
    python recipes/concealment.py tokens speech-48k OUT [--steps 2400]

OUT becomes a copy of the model with `concealment.onnx`; its id and all its other files stay, since
what is received decodes as before. Beside it, OUT.run keeps the training: the same command
goes on from there after a kill. One step takes 0.3 to 0.5 s of one core of 2025.
How it works: docs/loss.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from audiodec.errors import AudioDecError, ConfigError
from audiodec.export.concealment import export_concealment
from audiodec.nn.concealment import ConcealmentNetwork
from audiodec.pretrained import find_model
from audiodec.runtime.torch import load_network
from audiodec.tokenization.reading import read_codes
from audiodec.training.checkpoint import LAST, load, save
from audiodec.training.concealment import WINDOW_FRAMES, train

PACKET_S = 0.02  # seconds of the usual packet
SAVE_EVERY_STEPS = 50
SPREAD_FRAMES = 200_000  # from which the spread of latents is taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokens", type=Path, help="folder that audiodec tokenize wrote")
    parser.add_argument("model", help="bundled model or model folder that they are codes of")
    parser.add_argument("out", type=Path, help="new model folder")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        teach(options)
    except AudioDecError as error:
        parser.error(str(error))


def teach(options: argparse.Namespace) -> None:
    """Raises AudioDecError when tokens, model or folder are not what they must be."""
    folder, log = find_model(options.model), Console(stderr=True)
    if options.out.exists():
        raise ConfigError(f"{options.out} already exists: choose another folder or remove it")
    codec = load_network(folder)
    found = (np.asarray(codes, np.int64) for _, codes in read_codes(options.tokens, folder))
    recordings = [codes for codes in found if codes.shape[1] > WINDOW_FRAMES]
    if not recordings:
        raise ConfigError(f"{options.tokens} has no recording of {WINDOW_FRAMES} frames")
    frames = sum(codes.shape[1] for codes in recordings)
    log.print(f"{frames / codec.config.frame_rate / 3600:.2f} hours of speech")
    torch.manual_seed(0)
    network = ConcealmentNetwork(codec.config.quantizer.dim, spread(codec, recordings))
    run = options.out.with_name(options.out.name + ".run")
    run.mkdir(parents=True, exist_ok=True)
    resume = load(run) if (run / LAST).exists() else None
    usual = max(1, round(PACKET_S * codec.config.frame_rate))
    packets = (1, 2 * usual, usual, usual, usual)
    losses: dict[str, list[float]] = {}
    for step, kind, loss, state in train(
        network, codec, recordings, packets, options.steps, resume=resume
    ):
        losses.setdefault(kind, []).append(loss)
        if step % SAVE_EVERY_STEPS == 0 or step == options.steps:
            save(state, run)
            means = ", ".join(f"{name} {np.mean(own):.4f}" for name, own in losses.items())
            log.print(f"step {step} of {options.steps}: {means}")
            losses.clear()
    info = export_concealment(network, folder, options.out)
    log.print(f"{options.out}: model {info.id}, now with a concealment graph")


def spread(codec: torch.nn.Module, recordings: list[np.ndarray]) -> torch.Tensor:
    """Standard deviation of each value of the latents, [dim]."""
    codes = np.concatenate(recordings, axis=1)[:, :SPREAD_FRAMES]
    return codec.quantizer.decode(torch.from_numpy(codes)[None])[0].std(1)


if __name__ == "__main__":
    main()
