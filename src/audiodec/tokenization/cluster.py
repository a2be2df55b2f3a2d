"""Workers as actors of Ray Data: this machine's cores or a cluster."""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, cast

import numpy as np
import ray
import ray.data
from ray.exceptions import RayError

from audiodec.errors import AudioDecError
from audiodec.tokenization.coding import Failure, Job, Outcome, Tokenizer, Tokens
from audiodec.tokenization.listing import File
from audiodec.tokenization.local import MAX_WORKERS_LOST, lost

LOCAL = "local"
TASK_FILES = 16  # files per task: Ray keeps account of each task, and repeats it whole
CONNECT_TIMEOUT_S = 10  # seconds to wait for a cluster to answer
MIN_TASKS_PER_ACTOR = 4  # per actor at least, so that none is idle for long at the end


def run_ray(job: Job, files: Sequence[File], jobs: int, address: str) -> Iterator[Outcome]:
    """Run the job on a Ray cluster; yields outcomes in the order in which they are ready.

    Ray starts an actor that died anew and repeats its task. A task that fails `MAX_WORKERS_LOST`
    times is left out, and its files are tried again one by one, so that a bad one takes no other
    with it.

    Args:
        jobs: actors, of one CPU each.
        address: of a cluster, or `local` to start one here that ends with this process.

    Raises:
        AudioDecError: no cluster there, or its actors cannot load the model.
    """
    with _connected(address, jobs):
        waiting = {file.number: file for file in files}
        for batch in (TASK_FILES, 1):
            for outcome in _run(job, list(waiting.values()), jobs, batch):
                del waiting[outcome.number]
                yield outcome
        yield from map(lost, waiting.values())


@contextmanager
def _connected(address: str, jobs: int) -> Iterator[None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told of this job
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what goes wrong is told below
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    here: dict[str, Any] = {"num_cpus": jobs, "include_dashboard": False}
    try:
        _reach(address)
        ray.init(
            address, log_to_driver=False, logging_level=logging.CRITICAL,
            **(here if address == LOCAL else {}),
        )  # fmt: skip
    except (OSError, RuntimeError, ValueError, RayError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise AudioDecError(f"no Ray cluster at {address}: {reason}") from None
    try:
        with redirect_stdout(sys.stderr):  # where Ray tells of dead actors; stdout is for results
            yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Refuse, with OSError or ValueError, where nothing listens; Ray would wait for ever."""
    if ":" in address:
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()


def _run(job: Job, files: Sequence[File], jobs: int, batch: int) -> Iterator[Outcome]:
    """Outcomes of all files but those whose task failed over and over."""
    if not files:
        return
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # any number: such files are tried again, or reported
    size = max(1, min(batch, len(files) // (MIN_TASKS_PER_ACTOR * jobs)))
    items = [dataclasses.asdict(file) for file in files]
    listed = ray.data.from_items(items, override_num_blocks=-(-len(files) // size))
    # One task in flight: a task that only waits would be counted as failed with its actor.
    pool = ray.data.ActorPoolStrategy(size=jobs, max_tasks_in_flight_per_actor=1)
    with warnings.catch_warnings(category=DeprecationWarning, action="ignore"):
        coded = listed.map(
            cast(Any, _Actor), fn_constructor_args=(job,), compute=pool, num_cpus=1,
            max_restarts=-1, max_task_retries=MAX_WORKERS_LOST - 1,
        )  # fmt: skip
    try:
        for row in coded.iter_rows():
            yield _outcome(row, job.codebooks)
    except RayError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise AudioDecError(f"the job failed on Ray: {reason}") from None


class _Actor:
    def __init__(self, job: Job) -> None:
        self._tokenizer = Tokenizer(job)

    def __call__(self, file: dict[str, Any]) -> dict[str, Any]:
        """Make a row of Ray Data: a dict of plain values."""
        outcome = self._tokenizer(File(**file))
        if isinstance(outcome, Failure):
            return {"number": outcome.number, "reason": outcome.reason, "codes": b"",
                    "samples": 0, "original_rate": 0, "original_samples": 0}  # fmt: skip
        return {**vars(outcome), "codes": outcome.codes.tobytes(), "reason": ""}


def _outcome(row: dict[str, Any], num_codebooks: int) -> Outcome:
    codes, reason = row.pop("codes"), row.pop("reason")
    if reason:
        return Failure(row["number"], reason)
    return Tokens(**row, codes=np.frombuffer(codes, np.uint16).reshape(num_codebooks, -1))
