"""`audiodec bench codebooks`: the counts and what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audiodec.evaluation.codebooks import count, usage
from tests.conftest import SPEECH


def test_perplexity_of_known_distributions() -> None:
    even, one, half = np.arange(64).repeat(3), np.full(192, 7), np.arange(192) % 2 + 10
    clips = [np.stack([even, one, half])[:, i : i + 48] for i in range(0, 192, 48)]
    counts = count(clips, 64)
    assert counts.shape == (3, 64)
    assert counts.sum(axis=1).tolist() == [192, 192, 192]
    rows = list(usage(counts))
    assert [row.codebook for row in rows] == [1, 2, 3]
    assert [row.perplexity for row in rows] == pytest.approx([64, 1, 2])
    assert [row.bits for row in rows] == pytest.approx([6, 0, 1])
    assert [row.used for row in rows] == [64, 1, 2]


def test_json_from_the_command_line(small_folder: Path) -> None:
    command = ["bench", "codebooks", str(SPEECH), "--model", str(small_folder), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "audiodec", *command], capture_output=True, text=True, check=True
    )
    result = json.loads(done.stdout)
    assert result["frames"] > 100
    assert all(1 <= s["perplexity"] <= 2 ** s["bits"] + 1e-6 for s in result["codebooks"])
