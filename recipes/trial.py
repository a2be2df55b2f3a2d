"""Try every published recipe for some steps a stage, at full width, on your own speech.

    python recipes/trial.py data/train/kathleen --noise data/noise/train [--steps 24]

Shows, before days of training, that a recipe runs on this machine and how fast: one row a stage
(steps, seconds a step, loss at the start and the end, mean perplexity of the codebooks) in
`trial.md`. In the middle of each adversarial stage the run is killed (SIGKILL) and resumed.
Vocoders and the denoiser start from the models that the trial itself has made before. What was
done before is not done again. Batches are small (`--batch`): losses compare within a row only.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import soundfile
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from audiodec.audio_files.reading import read_audio
from audiodec.training.checkpoint import LAST
from audiodec.training.recipe import Recipe
from audiodec.training.recipe_file import load_recipe

RECIPES = Path(__file__).parent / "published"
FIRST = ("symAD_vctk_48000_hop300", "symADuniv_vctk_48000_hop300")  # others start from these
MADE = {"models/symAD": FIRST[0], "models/symADuniv": FIRST[1]}
ENDS = 4  # steps averaged at the start and at the end of a stage
AUDIODEC = [sys.executable, "-m", "audiodec"]


def stereo(source: Path, out: Path) -> Path:
    """A few recordings as if heard from the left: later and softer in the right channel."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*.wav"))[:50]:
        sound = read_audio(str(path))
        left = sound.samples[:, 0]
        right = np.pad(0.6 * left, (sound.rate // 2000, 0))[: len(left)]
        soundfile.write(out / path.name, np.stack([left, right], axis=1), sound.rate)
    return out


def train(recipe: Path, run: Path, overrides: list[str], kill_in: str | None) -> None:
    """Train; where `kill_in` names a stage, kill the process after some checkpoints in it."""
    if not (run / "recipe.yaml").exists():
        command = [*AUDIODEC, "train", str(recipe), "--out", str(run), *overrides]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
        )
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="")
            if kill_in and line.strip() == f"stage {kill_in}":
                wait_for_checkpoints(run, process)
                process.kill()
                print(f"killed in stage {kill_in}")
        code = process.wait()
        if code not in (0, -signal.SIGKILL):
            raise SystemExit(f"{recipe.stem} failed with exit code {code}")
    subprocess.run([*AUDIODEC, "train", "--resume", str(run)], check=True)


def wait_for_checkpoints(run: Path, process: subprocess.Popen[str], count: int = 4) -> None:
    """Until `count` more have been written (or the process has ended)."""
    seen: set[float] = set()
    while len(seen) <= count and process.poll() is None:
        time.sleep(0.05)
        if (run / LAST).exists():
            seen.add((run / LAST).stat().st_mtime)


def points(run: Path) -> dict[str, dict[int, tuple[float, float]]]:
    """Scalar name -> step -> (wall-clock time, value)."""
    events = EventAccumulator(str(run)).Reload()
    return {
        name: {p.step: (p.wall_time, p.value) for p in events.Scalars(name)}
        for name in events.Tags()["scalars"]
    }


def rows(recipe: Recipe, run: Path) -> list[str]:
    """Lines of the table, one a stage."""
    found, lines = points(run), []
    ends = list(itertools.accumulate(stage.steps for stage in recipe.stages))
    for stage, end in zip(recipe.stages, ends, strict=True):
        steps = range(end - stage.steps + 1, end + 1)
        losses = [found["loss/total"][s][1] for s in steps]
        times = np.diff([found["loss/total"][s][0] for s in steps])
        perplexity = [
            values[end][1] for name, values in found.items()
            if name.startswith("perplexity") and end in values
        ]  # fmt: skip
        mean = f"{np.mean(perplexity):.0f}" if perplexity else "frozen"
        lines.append(
            f"| `{recipe.name}` | {stage.name} | {stage.steps} | {np.median(times):.1f} "
            f"| {np.mean(losses[:ENDS]):.2f} | {np.mean(losses[-ENDS:]):.2f} | {mean} |"
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path, help="folder of recordings")
    parser.add_argument("--noise", type=Path, required=True, help="folder of noise")
    parser.add_argument("--steps", type=int, default=24, help="of each stage")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/trial"))
    options = parser.parse_args()
    names = sorted(p.stem for p in RECIPES.glob("*.yaml"))
    table = ["| recipe | stage | steps | s/step | loss, start | end | perplexity |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name in (*FIRST, *(n for n in names if n not in FIRST)):
        path, run = RECIPES / f"{name}.yaml", options.out / name
        given = load_recipe(path)
        speech = options.speech
        if given.codec.channels == 2:
            speech = stereo(options.speech, options.out / "stereo")
        overrides = [
            f"data.sources=[{{path: {speech}}}]", f"data.batch={options.batch}",
            "quantization.start_latents=2000", "checkpoint_every=0.02", "validation.clips=[]",
        ]  # fmt: skip
        overrides += [f"stages.{i}.steps={options.steps}" for i in range(len(given.stages))]
        if given.init in MADE:
            overrides.append(f"init={options.out / 'models' / MADE[given.init]}")
        if "denoise" in name:
            overrides.append(f"data.noise=[{options.noise}]")
        recipe = load_recipe(path, overrides)
        last = recipe.stages[-1]
        train(path, run, overrides, last.name if last.adversary else None)
        model = options.out / "models" / name
        if name in FIRST and not model.exists():
            command = [
                *AUDIODEC,
                "export",
                str(run),
                str(model),
                "--id",
                name.split("_")[0].lower(),
            ]
            subprocess.run(command, check=True)
        table += rows(recipe, run)
        (options.out / "trial.md").write_text("\n".join(table) + "\n", encoding="utf-8")
    print("\n".join(table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
