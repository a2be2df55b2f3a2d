"""Workers as processes of this machine; the file of one that dies is tried again."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait

from audiodec.tokenization.coding import Failure, Job, Outcome, Tokenizer
from audiodec.tokenization.listing import File

MAX_WORKERS_LOST = 3  # workers that may die of a file before it is given up
_spawn = multiprocessing.get_context("spawn")  # forking beside onnxruntime's threads is not safe


def run_local(job: Job, files: Sequence[File], jobs: int) -> Iterator[Outcome]:
    """Run the job in processes of this machine; yields outcomes in the order in which they are
    ready.

    Args:
        jobs: processes.

    Raises:
        ModelError: a worker cannot load the model.
    """
    waiting, deaths = deque(files), Counter[int]()
    free = [_Worker(job) for _ in range(min(jobs, len(files)))]
    busy: dict[Connection, tuple[_Worker, File]] = {}
    try:
        while waiting or busy:
            while waiting and free:
                worker, file = free.pop(), waiting.popleft()
                busy[worker.connection] = worker, file
                worker.begin(file)
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                worker, file = busy.pop(ready)
                outcome = worker.outcome()
                if isinstance(outcome, Exception):
                    raise outcome
                if outcome is not None:
                    free.append(worker)
                    yield outcome
                    continue
                free.append(_Worker(job))
                deaths[file.number] += 1
                if deaths[file.number] < MAX_WORKERS_LOST:
                    waiting.appendleft(file)
                else:
                    yield lost(file)
    finally:
        rest = free + [worker for worker, _ in busy.values()]
        for worker in rest:
            worker.process.terminate()
        for worker in rest:
            worker.process.join()


def lost(file: File) -> Failure:
    """Tell of a file that one worker after the other died of it."""
    return Failure(file.number, f"{MAX_WORKERS_LOST} workers died of it (out of memory?)")


class _Worker:
    """A process with a loaded model, and the pipe to it."""

    def __init__(self, job: Job) -> None:
        self.connection, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=_serve, args=(job, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that its death is the end of the pipe

    def begin(self, file: File) -> None:
        with contextlib.suppress(OSError):  # it is dead: `outcome` tells
            self.connection.send(file)

    def outcome(self) -> Outcome | Exception | None:
        """None if it died."""
        try:
            received: Outcome | Exception = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return None
        return received


def _serve(job: Job, connection: Connection) -> None:
    """Live a worker's life; it ends with the pipe, when the command is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which ends us
    try:
        tokenizer = Tokenizer(job)
        while True:
            connection.send(tokenizer(connection.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        connection.send(error)
