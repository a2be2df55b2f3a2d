"""`audiodec bench paper`: the evaluation of the paper on VCTK."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiodec.audio_files.writing import write_whole
from audiodec.cli.common import Json, console
from audiodec.errors import ConfigError

if TYPE_CHECKING:
    from audiodec.evaluation.quality import Clip


def paper(
    vctk: Annotated[Path, typer.Option(help="Folder of VCTK 0.92 or 0.80.")],
    model: Annotated[
        list[str] | None, typer.Option(help="Bundled model or model folder; may be repeated.")
    ] = None,
    bitrate: Annotated[
        float | None, typer.Option(help="kbps; each model's highest if not given.")
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Of each speaker, evenly spread; all if not given.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that score.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads timed.")] = 4,
    windows: Annotated[int, typer.Option(min=10, help="Windows timed per size.")] = 300,
    mos: Annotated[
        Path | None, typer.Option(help="What `listen analyse --json` said of a MOS test.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for paper.md and paper.json; goes on from there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the paper's tables on VCTK's held-out speakers, the published numbers beside ours."""
    from rich.progress import track

    import audiodec
    from audiodec.evaluation import latency
    from audiodec.evaluation.codecs import OursSpec
    from audiodec.evaluation.paper import METRICS, make_tables, read_mos, to_json, to_markdown
    from audiodec.evaluation.quality import Benchmark, Store, UncodedSpec

    opinions = None if mos is None else read_mos(mos)
    models: list[str | None] = [*model] if model else [None]
    codecs = [audiodec.load(name, threads=threads) for name in models]
    rates = [bitrate or codec.bitrates[-1] for codec in codecs]
    ours = [OursSpec(name, rate) for name, rate in zip(models, rates, strict=True)]
    chosen = _held_out(vctk, clips)
    if out is not None:
        if out.is_file():
            raise ConfigError(f"{out} is a file; name a folder")
        out.mkdir(parents=True, exist_ok=True)
    store = Store(out and out / "scores.sqlite")
    benchmark = Benchmark([UncodedSpec(), *ours], chosen, METRICS, store)
    for _ in track(
        benchmark.run(jobs), "scoring", len(benchmark.tasks), console=console, transient=True
    ):
        pass
    with console.status("timing"):
        times = latency.measure(codecs, windows)
    names, speakers = [c.info.id for c in codecs], sorted({c.labels["speaker"] for c in chosen})
    about = {
        "models": ", ".join(names),
        "clips": f"{len(chosen)} of speakers {', '.join(speakers)}",
        "timed": f"onnxruntime, {threads} threads, {windows} windows of each size",
        "audiodec": audiodec.__version__,
    }
    windows_of = dict(zip(names, times, strict=True))
    tables = make_tables(about, benchmark.scores(), windows_of, opinions)
    page, data = to_markdown(tables), json.dumps(to_json(tables), indent=1)
    if out is not None:
        for name, text in (("paper.md", page), ("paper.json", data + "\n")):
            with write_whole(str(out / name)) as file:
                file.write(text.encode())
    typer.echo(data if as_json else page)


def _held_out(vctk: Path, each: int | None) -> list[Clip]:
    """Choose recordings of the test speakers, `each` of every one, spread over their sessions."""
    from audiodec.evaluation.quality import Clip
    from audiodec.prepare.corpora import TEST
    from audiodec.prepare.corpora import vctk as find

    recordings = find(vctk).recordings
    chosen: list[Clip] = []
    for speaker in sorted(TEST):
        own = [r for r in recordings if r.speaker == speaker]
        if not own:
            raise ConfigError(f"{vctk} has no recordings of test speaker {speaker}")
        count = min(each or len(own), len(own))
        spread = [own[i * len(own) // count] for i in range(count)]
        chosen += [Clip(r.path.stem, r.path, labels={"speaker": speaker}) for r in spread]
    return chosen
