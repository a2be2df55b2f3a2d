"""Training: it learns, resumes to the bit, survives kills, masks what a source cannot know."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import audiodec
from audiodec.config import to_data
from audiodec.errors import ConfigError, ModelError
from audiodec.export.onnx import export_model
from audiodec.nn.spectral import FeedForward
from audiodec.training import checkpoint
from audiodec.training.data import Crops, find_clips
from audiodec.training.losses import MEL_BANDS, SpectralLoss
from audiodec.training.optimizer import make_optimizer
from audiodec.training.phase import learning_rate
from audiodec.training.recipe import Data, Optimizer, Source
from audiodec.training.recipe_file import load_recipe
from audiodec.training.step import lose_frames
from audiodec.training.trainer import Trainer
from tests.conftest import SMALL, SPEECH


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    """A small recipe on the bundled clip."""
    (tmp_path / "speech").mkdir()
    (tmp_path / "speech" / "clip.flac").write_bytes(SPEECH.read_bytes())
    data = {
        "codec": to_data(SMALL),
        "data": {
            "crop": 0.2,
            "batch": 4,
            "sources": [{"path": str(tmp_path / "speech"), "bandwidth": 20000}],
        },
        "stages": [{"name": "metric", "steps": 24}],
        "quantization": {"start": 0.25, "start_latents": 600},
        "validation": {"clips": [str(SPEECH)], "pictures": 1},
    }
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def weights(run: Path) -> dict[str, torch.Tensor]:
    state = checkpoint.load(run)
    return (
        state["codec"]
        | state["learner"]
        | {
            f"optimizer.{i}.{name}": value
            for i, slots in state["phase"]["optimizer"]["state"].items()
            for name, value in slots.items()
        }
    )


WIDE = ["codec.encoder.width=256", "codec.decoder.width=256"]  # matrices that Muon takes


@pytest.mark.parametrize("half", [3, 12])  # before and after the codebooks start
@pytest.mark.parametrize("muon", [False, True])
def test_resuming_equals_never_stopping_to_the_bit(
    recipe_file: Path, tmp_path: Path, half: int, muon: bool
) -> None:
    changes = [*WIDE, "stages.0.optimizer={muon: true}"] if muon else []
    recipe = load_recipe(recipe_file, changes)
    Trainer.start(recipe, tmp_path / "straight").fit()
    Trainer.start(recipe, tmp_path / "halved").fit(until=half)
    Trainer.resume(tmp_path / "halved").fit()
    a, b = weights(tmp_path / "straight"), weights(tmp_path / "halved")
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


def test_muon_moves_all_directions_of_a_large_matrix_alike() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(256, 256)
    before = layer.weight.detach().clone()
    weak = torch.diag(torch.logspace(0, -1, 256))  # a gradient ten times weaker in some directions
    optimizer = make_optimizer([("layer", layer)], Optimizer(muon=True, weight_decay=0))
    (layer.weight * weak).sum().backward()
    optimizer.step()
    moved = torch.linalg.svdvals(before - layer.weight.detach())
    assert moved.min() > 0.5 * moved.max()


def test_a_kill_loses_only_what_came_after_the_checkpoint(
    recipe_file: Path, tmp_path: Path
) -> None:
    """SIGKILL in the middle of a run, then --resume, equals a straight run to the bit."""
    recipe = load_recipe(recipe_file, ["checkpoint_every=0.0001", "stages.0.steps=40"])
    Trainer.start(recipe, tmp_path / "straight").fit()
    run = tmp_path / "killed"
    command = [sys.executable, "-m", "audiodec", "train"]
    start = [str(recipe_file), "checkpoint_every=0.0001", "stages.0.steps=40", "--out", str(run)]
    process = subprocess.Popen([*command, *start], env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not (run / checkpoint.LAST).exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < checkpoint.load(run)["step"] < 40
    subprocess.run([*command, "--resume", str(run)], check=True, capture_output=True)
    a, b = weights(tmp_path / "straight"), weights(run)
    assert all(torch.equal(value, b[name]) for name, value in a.items())


def test_it_learns_logs_and_exports(recipe_file: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file, ["stages.0.steps=120"])
    run = tmp_path / "run"
    Trainer.start(recipe, run).fit()
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    loss = [point.value for point in events.Scalars("loss/mel")]
    assert loss[-1] < 0.8 * loss[0]
    tags = events.Tags()
    assert {"train/learning_rate", "perplexity/codebook 1", "validation/ESTOI"} <= set(
        tags["scalars"]
    )
    assert tags["images"] == tags["audio"] == ["clip 0"]
    export_model(checkpoint.trained_network(run), "learned", tmp_path / "model", for_browsers=False)
    model = audiodec.load(tmp_path / "model")
    audio = soundfile.read(SPEECH, dtype="float32")[0][::3].copy()
    assert model.decode(model.encode(audio), len(audio)).shape == audio.shape
    with pytest.raises(ModelError, match="exists"):
        export_model(
            checkpoint.trained_network(run), "learned", tmp_path / "model", for_browsers=False
        )


def test_export_before_the_codebooks_start_is_refused(recipe_file: Path, tmp_path: Path) -> None:
    Trainer.start(load_recipe(recipe_file), tmp_path / "run").fit(until=2)
    with pytest.raises(ModelError, match="not started"):
        checkpoint.trained_network(tmp_path / "run")


def test_a_checkpoint_of_another_network_is_refused(recipe_file: Path, tmp_path: Path) -> None:
    recipe_read = load_recipe(recipe_file, ["stages.0.steps=4", "quantization.start=0"])
    Trainer.start(recipe_read, tmp_path / "run").fit()
    recipe = tmp_path / "run" / "recipe.yaml"
    changed = yaml.safe_load(recipe.read_text())
    changed["codec"]["quantizer"]["codebooks"] += 1
    recipe.write_text(yaml.safe_dump(changed))
    for use in (Trainer.resume, checkpoint.trained_network):
        with pytest.raises(ModelError, match="holds another network than"):
            use(tmp_path / "run")


def test_a_damaged_checkpoint_is_refused(recipe_file: Path, tmp_path: Path) -> None:
    Trainer.start(load_recipe(recipe_file), tmp_path / "run").fit(until=2)
    (tmp_path / "run" / checkpoint.LAST).write_bytes(b"garbage")
    with pytest.raises(ModelError, match="damaged"):
        Trainer.resume(tmp_path / "run")


def test_a_run_is_not_overwritten_and_missing_folders_are_named(
    recipe_file: Path, tmp_path: Path
) -> None:
    Trainer.start(load_recipe(recipe_file), tmp_path / "run")
    with pytest.raises(ConfigError, match="--resume"):
        Trainer.start(load_recipe(recipe_file), tmp_path / "run")
    with pytest.raises(ConfigError, match="does not exist"):
        Trainer.start(load_recipe(recipe_file, ["validation.clips=[nowhere]"]), tmp_path / "new")


def test_a_collapsing_codebook_is_shouted_about(
    recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = load_recipe(recipe_file, ["quantization.collapse_below=1.0"])
    Trainer.start(recipe, tmp_path / "run").fit()
    assert "WARNING: codebook 1 is collapsing" in " ".join(capsys.readouterr().out.split())


def test_lost_frames_repeat_the_last_one_received() -> None:
    frames = torch.arange(400.0).expand(64, 2, 400)
    heard = lose_frames(frames, 0.2, torch.Generator().manual_seed(0))
    lost = heard != frames
    assert not lost[..., 0].any()
    assert (heard[..., 1:][lost[..., 1:]] == heard[..., :-1][lost[..., 1:]]).all()
    share = lost[:, 0].float().mean(1)
    assert 0.05 < share.mean() < 0.15  # rates are uniform between 0 and 0.2
    begins = (lost[:, 0, 1:] & ~lost[:, 0, :-1]).sum()
    assert 4 < lost[:, 0].sum() / begins < 8  # mean length of a burst


def test_shrinking_drops_what_the_rest_can_make_up_for() -> None:
    """Every hidden unit is there twice, so half of them can go without a loss."""
    shrink = runpy.run_path(str(Path(__file__).parents[1] / "recipes" / "shrink.py"))["shrink"]
    torch.manual_seed(0)
    layer, x = FeedForward(torch.nn.Linear(8, 16), torch.nn.Linear(16, 8)), torch.randn(2000, 8)
    before = layer(x[None])
    hidden = layer[1](layer[0](x))
    doubled = FeedForward(torch.nn.Linear(8, 32), torch.nn.Linear(32, 8))
    with torch.no_grad():
        doubled[0].weight.copy_(layer[0].weight.repeat(2, 1))
        doubled[0].bias.copy_(layer[0].bias.repeat(2))
        doubled[2].weight.copy_(layer[2].weight.repeat(1, 2) / 2)
        doubled[2].bias.copy_(layer[2].bias)
    shrink(doubled, 16, iter([hidden.repeat(1, 2).detach()]))
    assert doubled[0].out_features == 16
    assert (doubled(x[None]) - before).abs().max() < 0.01 * before.std()


def test_schedule() -> None:
    o = Optimizer(warmup=100, decay_from=0.5)
    rates = [learning_rate(step, 1000, o) / 1.5e-3 for step in (0, 49, 100, 500, 750, 1000)]
    assert rates == pytest.approx([0.01, 0.5, 1, 1, 0.5, 0])
    halved = Optimizer(warmup=0, decay_from=1, halve_every=200)
    rates = [learning_rate(step, 1000, halved) / 1.5e-3 for step in (0, 199, 200, 999)]
    assert rates == pytest.approx([1, 1, 0.5, 1 / 16])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Noise in several formats and rates, some too short or held out, one not audio."""
    random = np.random.default_rng(0)
    for name, rate, seconds in (
        ("a.wav", 48000, 3), ("deep/b.flac", 24000, 2), ("c.ogg", 44100, 2),
        ("short.wav", 48000, 0.1), ("held_out.wav", 48000, 3),
    ):  # fmt: skip
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, random.normal(0, 0.1, int(rate * seconds)), rate)
    (tmp_path / "clips" / "notes.txt").write_text("no audio")
    return tmp_path / "clips"


def test_crops_are_a_function_of_seed_and_step(folder: Path) -> None:
    source = Source(path=str(folder), bandwidth=20000, exclude="held")
    assert [c.path.name for c in find_clips(source, 0.5)] == ["a.wav", "c.ogg", "b.flac"]
    data = Data(sources=(source,), batch=16)
    crops = Crops(data, 48000, 320, seed=1)
    batch = crops[5]
    assert batch.target.shape == (16, 1, 19200)
    assert batch.input is not None
    assert torch.equal(batch.input, batch.target)
    assert batch.target.abs().max() < 1
    assert torch.equal(batch.target, Crops(data, 48000, 320, seed=1)[5].target)
    assert not torch.equal(batch.target, crops[6].target)
    levels = batch.target.square().mean((1, 2)).log10() * 10
    assert levels.max() - levels.min() > 6  # level augmentation
    # A 24 kHz file knows nothing above 12 kHz, times the speed it is played at.
    assert batch.bandwidth.min() >= 0.93 * 12000 * 0.8
    assert batch.bandwidth.max() <= 24000


def test_low_passed_crops_are_believed_up_to_the_top(folder: Path) -> None:
    data = Data(sources=(Source(path=str(folder)),), lowpass=(4000, 4000), lowpass_probability=1.0)
    batch = Crops(data, 48000, 320, 0)[0]
    assert (batch.bandwidth == 24000).all()
    power = torch.fft.rfft(batch.target[:, 0]).abs().square()
    edge = 4300 * power.shape[1] // 24000
    assert (power[:, edge:].sum(1) < 1e-6 * power[:, :edge].sum(1)).all()


def test_silence_only_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(96000), 48000)
    crops = Crops(Data(sources=(Source(path=str(tmp_path)),)), 48000, 320, 0)
    with pytest.raises(audiodec.AudioError, match="silent or clipped"):
        crops[0]


@pytest.mark.parametrize("window", [w for w in MEL_BANDS if w >= 512])
def test_losses_ignore_what_lies_above_the_bandwidth(window: int) -> None:
    loss = SpectralLoss(window, 48000)
    random = torch.Generator().manual_seed(0)
    target = torch.randn(2, 19200, generator=random) * 0.1
    spectrum = torch.fft.rfft(target)
    low = spectrum.clone()
    low[:, 8000:] = 0  # nothing above 20 kHz
    output = torch.fft.irfft(low)
    full, limited = torch.full((2,), 24000.0), torch.full((2,), 17000.0)
    assert loss(target, target, full)["mel"] == 0
    assert loss(output, target, limited)["mel"] < 0.1 * loss(output, target, full)["mel"]
    assert loss(output, target, limited)["complex"] < 0.01


@pytest.mark.skipif(
    not Path("../shared/reference/losses.npz").exists(), reason="../shared is not here"
)
def test_shared_corpus_is_readable() -> None:
    """Folders of ../shared/corpus can be drawn from."""
    corpus = Path("../shared/corpus")
    sources = tuple(Source(path=str(p)) for p in sorted(corpus.iterdir()) if p.is_dir())
    crops = Crops(Data(sources=sources, batch=8), 48000, 320, 0)
    assert crops[0].target.square().mean() > 1e-6
