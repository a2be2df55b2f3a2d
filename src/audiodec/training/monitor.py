"""What a person sees of a run: progress bar, warnings, TensorBoard."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from audiodec.errors import AudioDecError
from audiodec.evaluation.picture import compare
from audiodec.training.parallel import world
from audiodec.training.recipe import Recipe
from audiodec.training.validation import Report

POINT_EVERY_STEPS = 20  # steps between TensorBoard points, fewer in runs of less than 1,000 steps
PRINT_EVERY_STEPS = 500  # steps between lines that stay, for logs without a terminal


class Monitor:
    """Shows and records a run, on its first process. Values between two points are averaged.

    Args:
        step: where the run goes on.
    """

    def __init__(self, run: Path, recipe: Recipe, step: int) -> None:
        self.run, self.recipe, self.silent = run, recipe, world()[0] != 0
        self.every = max(1, min(POINT_EVERY_STEPS, recipe.steps // 50))
        self.seconds = 0.0  # of audio in one step
        self.begins = step
        self.writer: SummaryWriter | None = None
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[speed]:.1f} s of audio/s  {task.fields[text]}"),
            disable=self.silent,
        )
        self.task = self.progress.add_task(
            recipe.name, total=recipe.steps, completed=step, speed=0.0, text=""
        )
        self.point = (time.monotonic(), step)  # of the last throughput
        self.sums: dict[str, tuple[float, int]] = {}  # total and count of each value
        self.perplexity = np.zeros(0)
        self.collapsed: set[int] = set()

    def __enter__(self) -> Self:
        self.progress.start()
        threading.excepthook = _told_by_the_writer
        if not self.silent:
            with self._writing():
                self.writer = SummaryWriter(str(self.run), purge_step=self.begins + 1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()
        if self.writer is not None:
            with self._writing() if value is None else contextlib.suppress(OSError):
                self.writer.close()
        threading.excepthook = threading.__excepthook__

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn a full disk into one line that says how to go on."""
        try:
            yield
        except OSError as error:
            raise AudioDecError(
                f"{self.run} cannot be written any more: {error.strerror}. Make room, then "
                f"audiodec train --resume {self.run}"
            ) from None

    def say(self, line: str) -> None:
        """Print a line above the progress bar."""
        if not self.silent:
            self.progress.console.print(line, highlight=False, markup=False)

    def enter_phase(self, name: str, seconds: float) -> None:
        """Show that the run of a stage begins or goes on, with that much audio in one step."""
        self.seconds = seconds
        self.perplexity = np.zeros(0)
        self.say(f"stage {name}")

    def log(self, step: int, values: dict[str, float], perplexity: list[float]) -> None:
        """Record the values of one step."""
        for name, value in values.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + value, count + 1)
        if perplexity:
            new = np.array(perplexity)
            old = self.perplexity if len(self.perplexity) else new
            self.perplexity = 0.95 * old + 0.05 * new
        if self.writer is None or (step % self.every and step != self.recipe.steps):
            return
        means = {name: total / count for name, (total, count) in self.sums.items()}
        now, (before, since) = time.monotonic(), self.point
        speed = (step - since) * self.seconds / max(now - before, 1e-9)
        self.point = (now, step)
        with self._writing():
            for name, mean in means.items():
                self.writer.add_scalar(name, mean, step)
            for i, value in enumerate(self.perplexity, start=1):
                self.writer.add_scalar(f"perplexity/codebook {i}", value, step)
            self.writer.add_scalar("train/seconds of audio per second", speed, step)
        self._watch_codebooks()
        text = f"loss {means['loss/total']:.3f}"
        self.progress.update(self.task, completed=step, speed=speed, text=text)
        if step % PRINT_EVERY_STEPS == 0 or step == self.recipe.steps:
            listed = " ".join(f"{p:.0f}" for p in self.perplexity)
            self.say(f"step {step}: {text}, {speed:.1f} s of audio/s, perplexity {listed or '-'}")
        self.sums = {}

    def _watch_codebooks(self) -> None:
        size = self.recipe.codec.quantizer.codebook_size
        low = {
            codebook
            for codebook, value in enumerate(self.perplexity, start=1)
            if value < self.recipe.quantization.collapse_below * size
        }
        for codebook in sorted(low - self.collapsed):
            self.say(
                f"WARNING: codebook {codebook} is collapsing: it uses about "
                f"{self.perplexity[codebook - 1]:.0f} of {size} codes. Stop, lower "
                "the stage's optimizer.encoder_scale or learning_rate, and start again."
            )
        self.collapsed = low

    def validation(self, step: int, report: Report) -> None:
        """Record scores, and the shown clips as audio and spectrograms."""
        if self.writer is None or not report.scores:
            return
        rate = self.recipe.codec.sample_rate
        with self._writing():
            for name, value in report.scores.items():
                self.writer.add_scalar(f"validation/{name}", value, step)
            for i, (original, coded) in enumerate(report.shown):
                picture = compare({"original": original, f"step {step}": coded}, rate)
                self.writer.add_image(f"clip {i}", np.asarray(picture), step, dataformats="HWC")
                self.writer.add_audio(f"clip {i}", coded[None].clip(-1, 1), step, rate)
        scores = ", ".join(f"{name} {value:.3f}" for name, value in report.scores.items())
        self.say(f"step {step}: validation {scores}")

    def flush(self) -> None:
        """Put on disk what a checkpoint has seen: after a kill the curves have no hole."""
        if self.writer is not None:
            with self._writing():
                self.writer.flush()


def _told_by_the_writer(error: threading.ExceptHookArgs) -> None:
    """Leave out the traceback of TensorBoard's thread: its next call raises the same."""
    if not isinstance(error.exc_value, OSError):
        threading.__excepthook__(error)
