"""How onnxruntime loads a graph here."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
from onnxruntime import InferenceSession

from audiodec.errors import ModelError


def open_session(path: Path, threads: int) -> InferenceSession:
    """Load a graph for the CPU.

    Raises:
        ModelError: it cannot be loaded.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return InferenceSession(
            str(path),
            options,
            providers=["CPUExecutionProvider"],
            # It would take the SiLU out of the blocked layout of the convolutions around.
            disabled_optimizers=["QuickGeluFusion"],
        )
    except Exception as error:  # onnxruntime's own exceptions share no base class
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path} cannot be loaded by onnxruntime: {reason}") from None
