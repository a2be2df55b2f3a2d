"""A whole job: list in, workers at it, shards out, exactly once for each file.

Workers only compute. This process alone writes, and a file is done when the journal says that a
shard holds it; so a worker that dies costs what it had in hand, and a kill of everything costs the
shard that was being filled.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audiodec.audio_files.writing import write_whole
from audiodec.checks import check_beam_width
from audiodec.config import ModelInfo
from audiodec.errors import MissingExtraError
from audiodec.pretrained import BUNDLED, WEIGHTS, find_model, read_info
from audiodec.tokenization.coding import Failure, Job, Outcome, Tokens
from audiodec.tokenization.journal import Format, Journal, Settings
from audiodec.tokenization.listing import File, list_hash, read_list
from audiodec.tokenization.local import run_local
from audiodec.tokenization.output import Output
from audiodec.tokenization.reading import layout_of
from audiodec.tokenization.rows import Row

FAILED = "failed.csv"


@dataclass(frozen=True)
class Plan:
    """What is to be done, checked before anything is written.

    Attributes:
        left_out: files of a folder that were passed over, and why.
    """

    files: Sequence[File]
    job: Job
    settings: Settings
    left_out: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        source: Path,
        *,
        model: str | None = None,
        bitrate: float | None = None,
        beam_width: int = 1,
        kind: Format = "parquet",
        shard_hours: float = 2,
    ) -> Plan:
        """Make a plan of the command's options, and check it.

        Raises:
            ConfigError: no list of files, or a bitrate or beam width that is not offered.
            ModelError: no such model.
        """
        folder = find_model(model)
        info, (files, left_out) = read_info(folder), read_list(source)
        num_codebooks, beam_width = info.codec.codebooks_for(bitrate), check_beam_width(beam_width)
        name = folder.name if folder.parent == BUNDLED else str(folder.resolve())
        job = Job(name, info.files[WEIGHTS], num_codebooks, beam_width)
        return cls(files, job, _settings(info, job, files, kind, shard_hours), left_out)


def _settings(
    info: ModelInfo, job: Job, files: Sequence[File], kind: Format, shard_hours: float
) -> Settings:
    codec = info.codec
    return Settings(
        model=info.id, weights=job.weights, sample_rate=codec.sample_rate, hop=codec.hop,
        codebook_size=codec.quantizer.codebook_size, codebooks=job.codebooks,
        beam_width=job.beam_width, format=kind, shard_hours=shard_hours,
        files=len(files), list_sha256=list_hash(files),
    )  # fmt: skip


@dataclass
class Tally:
    """How far the job is.

    Attributes:
        already: files that an earlier run finished.
        coded: files of this run, and `seconds` of audio in them.
        failed: files of this run that could not be coded.
        shards: finished, of all runs.
        missing_seconds: that the files of this run should hold but do not.
        warnings: lines that say what is wrong with files of this run that were coded.
    """

    files: int
    already: int
    coded: int = 0
    seconds: float = 0
    failed: int = 0
    shards: int = 0
    missing_seconds: float = 0
    warnings: list[str] = field(default_factory=list)


def tokenize(
    plan: Plan,
    out: Path,
    *,
    jobs: int = 1,
    ray: str | None = None,
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Code every file that no finished shard in `out` has, and list in `failed.csv` what cannot be.

    Args:
        jobs: worker processes, or actors of Ray.
        ray: address of a Ray cluster, or `local`; processes of this machine if not given.
        progress: told how far it is after every file.

    Raises:
        ConfigError: `out` was begun with other settings.
        MissingExtraError: Parquet or Ray without the `scale` extra.
        AudioDecError: another process writes to `out`, or there is no Ray cluster.
    """
    layout, workers = layout_of(plan.settings.format), _workers(jobs, ray)
    with Journal(out, plan.settings) as journal:
        todo = [file for file in plan.files if file.number not in journal.done]
        tally = Tally(len(plan.files), len(plan.files) - len(todo))
        failures: list[Failure] = []
        output = Output(out, journal, layout, plan.settings)
        try:
            for outcome in workers(plan.job, todo):
                if isinstance(outcome, Failure):
                    failures.append(outcome)
                    tally.failed += 1
                else:
                    row = _row(plan, outcome)
                    output.add(row, outcome.codes)
                    tally.coded += 1
                    tally.seconds += row.samples / row.sample_rate
                    tally.missing_seconds += outcome.missing_seconds
                    tally.warnings += outcome.warnings
                tally.shards = len(journal.shards)
                progress(tally)
        finally:
            output.flush()  # what is coded is kept, whatever ended the run
            tally.shards = len(journal.shards)
            _write_failed(out / FAILED, plan.files, failures)
    return tally


def _workers(jobs: int, ray: str | None) -> Callable[[Job, Sequence[File]], Iterator[Outcome]]:
    if ray is None:
        return lambda job, files: run_local(job, files, jobs)
    try:
        from audiodec.tokenization.cluster import run_ray
    except ImportError:
        raise MissingExtraError("Ray", "scale") from None
    return lambda job, files: run_ray(job, files, jobs, ray)


def _row(plan: Plan, tokens: Tokens) -> Row:
    file = plan.files[tokens.number]
    codebooks, frames = tokens.codes.shape
    return Row(
        number=file.number, path=file.path, speaker=file.speaker, split=file.split,
        sample_rate=plan.settings.sample_rate, samples=tokens.samples,
        original_rate=tokens.original_rate, original_samples=tokens.original_samples,
        codebooks=codebooks, frames=frames,
    )  # fmt: skip


def _write_failed(path: Path, files: Sequence[File], failures: Sequence[Failure]) -> None:
    """List what the last run could not code; no list when there is nothing in it."""
    if not failures:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("number", "path", "reason"))
    for failure in sorted(failures, key=lambda failure: failure.number):
        writer.writerow((failure.number, files[failure.number].path, failure.reason))
    with write_whole(str(path)) as file:
        file.write(text.getvalue().encode())
