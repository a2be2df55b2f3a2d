"""A trained concealment network as one more graph of a model folder, compared with torch."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch

from audiodec.config import ModelInfo, to_data
from audiodec.errors import ModelError
from audiodec.export.onnx import OPSET, TOLERANCE, quiet
from audiodec.nn.concealment import ConcealmentNetwork
from audiodec.pretrained import CONCEALMENT, INFO, read_info
from audiodec.runtime.concealment import ConcealmentGraph

PARITY_FRAMES = (33, 50, 71)


def export_concealment(network: ConcealmentNetwork, model: Path, folder: Path) -> ModelInfo:
    """Write a copy of a model folder with this concealment; all of it appears at once.

    The model's id stays: what is received decodes as before. The graph holds its own weights,
    float32.

    Args:
        network: for that model's latents.
        model: folder to copy.

    Raises:
        ModelError: the folder exists, the model's files are not what they must be, or the graph
            differs from torch by more than 1e-4 of the spread of latents.
    """
    info = read_info(model)
    if folder.exists():
        raise ModelError(f"{folder} already exists: choose another folder or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        work = Path(temporary) / folder.name
        shutil.copytree(model, work)
        write_graph(network, work / CONCEALMENT)
        digest = hashlib.sha256((work / CONCEALMENT).read_bytes()).hexdigest()
        info = dataclasses.replace(info, files={**info.files, CONCEALMENT: digest})
        (work / INFO).write_text(json.dumps(to_data(info), indent=2) + "\n", encoding="utf-8")
        read_info(work)
        os.replace(work, folder)
    return info


def write_graph(network: ConcealmentNetwork, path: Path) -> None:
    """Export and compare. Raises ModelError when the graph differs from torch."""
    network = copy.deepcopy(network).eval()
    batch, frames = torch.export.Dim("batch", min=1), torch.export.Dim("frames", min=2)
    dim = len(network.spread)
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (torch.zeros(2, dim, 40), torch.zeros(2, 40)),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=["latents", "known"],
            output_names=["guess"],
            dynamic_shapes={"latents": {0: batch, 2: frames}, "known": {0: batch, 1: frames}},
        )
    assert program is not None
    program.save(path)
    check_parity(network, path)


def check_parity(network: ConcealmentNetwork, path: Path) -> None:
    """Compare onnxruntime with torch on random windows.

    Raises:
        ModelError: guesses differ by more than 1e-4 of the spread of latents.
    """
    random, graph = np.random.default_rng(0), ConcealmentGraph(path)
    spread = network.spread.cpu().numpy()[:, None]
    for frames in PARITY_FRAMES:
        known = random.choice([0, 0.25, 1], (3, frames)).astype(np.float32)
        latents = random.normal(size=(3, len(spread), frames)) * spread * (known[:, None] > 0)
        latents = latents.astype(np.float32)
        with torch.no_grad():
            true = network(torch.from_numpy(latents), torch.from_numpy(known)).numpy()
        worst = float(np.abs((graph(latents, known) - true) / spread).max())
        if not worst <= TOLERANCE:
            raise ModelError(f"the concealment graph differs from torch by {worst:.1e}")
