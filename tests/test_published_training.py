"""The published paradigm, stage by stage, on small networks and real speech."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file, save_file

import audiodec
from audiodec.config import CodecConfig, from_data
from audiodec.export.onnx import export_model
from audiodec.pretrained import INFO, WEIGHTS
from audiodec.training import checkpoint
from audiodec.training.recipe_file import load_recipe
from audiodec.training.trainer import Trainer
from tests.conftest import SPEECH, MadeOnce

SEANET: dict[str, Any] = {
    "sample_rate": 16000,
    "hop": 20,
    "encoder": {"kind": "seanet", "channels": 4, "ratios": [2, 4], "strides": [4, 5]},
    "quantizer": {"codebooks": 2, "codebook_size": 16, "dim": 8},
    "decoder": {"kind": "seanet", "channels": 4, "ratios": [4, 2], "strides": [5, 4]},
}
METRIC = {
    "name": "metric", "steps": 6, "losses": {"log_mel": 45, "stft": 1, "shape": 1, "commitment": 1},
    "optimizer": {"warmup": 0, "decay_from": 1, "max_norm": None},
}  # fmt: skip
ADVERSARIAL = {
    "name": "adversarial", "steps": 8, "trainable": ["decoder"],
    "losses": {"log_mel": 45, "adversarial": 1, "feature_matching": 2},
    "adversary": {"kinds": ["multi_scale", "multi_period"], "width": 0.125},
}  # fmt: skip


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    return write_recipe(tmp_path)


@pytest.fixture(scope="session")
def autoencoder(made_once: MadeOnce, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with float32 weights: the first stage alone."""

    def make(folder: Path) -> None:
        place = tmp_path_factory.mktemp("autoencoder")
        recipe = change(write_recipe(place), stages=[METRIC])
        Trainer.start(load_recipe(recipe), place / "run").fit()
        network = checkpoint.trained_network(place / "run")
        export_model(network, "ae", folder, torch.float32, for_browsers=False)

    return made_once("autoencoder", make)


def write_recipe(folder: Path) -> Path:
    """Both stages on the bundled clip."""
    (folder / "speech").mkdir()
    (folder / "speech" / "clip.flac").write_bytes(SPEECH.read_bytes())
    data = {
        "codec": SEANET,
        "data": {
            "crop": 0.25, "batch": 2, "sources": [{"path": str(folder / "speech")}],
            "speed_probability": 0, "lowpass_probability": 0,
        },
        "quantization": {
            "start": 0, "start_latents": 600, "decay": 0.8, "smoothing": 1e-5, "dead_below": 0,
            "centred": False, "commitment": "first", "dropout": 0,
        },
        "stages": [METRIC, ADVERSARIAL],
        "precision": "32-true",
    }  # fmt: skip
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def change(path: Path, **settings: Any) -> Path:
    """The recipe with top-level settings replaced, beside it."""
    data = yaml.safe_load(path.read_text()) | settings
    other = path.with_name("changed.yaml")
    other.write_text(yaml.safe_dump(data))
    return other


def test_stage_two_freezes_encoder_and_codebooks_and_moves_the_decoder(
    recipe_file: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(recipe_file)
    Trainer.start(recipe, tmp_path / "run").fit(until=6)
    before = checkpoint.load(tmp_path / "run")
    Trainer.resume(tmp_path / "run").fit()
    after = checkpoint.load(tmp_path / "run")
    assert after["phase"]["stage"] == "adversarial"
    for name, value in before["codec"].items():
        moved = not torch.equal(value, after["codec"][name])
        assert moved == name.startswith("decoder."), name
    assert all(torch.equal(v, after["learner"][k]) for k, v in before["learner"].items())


@pytest.mark.parametrize("weight_norm", [False, True])
def test_killed_in_the_adversarial_stage_it_goes_on_to_the_bit(
    recipe_file: Path, tmp_path: Path, weight_norm: bool
) -> None:
    parts = {k: {**SEANET[k], "weight_norm": weight_norm} for k in ("encoder", "decoder")}
    path = change(recipe_file, codec={**SEANET, **parts})
    Trainer.start(load_recipe(path), tmp_path / "straight").fit()
    command = [sys.executable, "-m", "audiodec", "train"]
    settings = ["checkpoint_every=0.0001", "--out", str(tmp_path / "killed")]
    process = subprocess.Popen([*command, str(path), *settings])
    while process.poll() is None:
        last = tmp_path / "killed" / checkpoint.LAST
        if last.exists() and checkpoint.load(tmp_path / "killed")["step"] > 7:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run([*command, "--resume", str(tmp_path / "killed")], check=True)
    a, b = (checkpoint.load(tmp_path / name) for name in ("straight", "killed"))
    assert a["step"] == b["step"] == 14
    for part in ("codec", "learner"):
        assert all(torch.equal(value, b[part][name]) for name, value in a[part].items())
    adversary = a["phase"]["adversary"]
    assert all(torch.equal(v, b["phase"]["adversary"][k]) for k, v in adversary.items())


def test_weight_norm_is_folded_away_by_export(recipe_file: Path, tmp_path: Path) -> None:
    parts = {
        k: {**SEANET[k], "weight_norm": True, "activated": True} for k in ("encoder", "decoder")
    }
    path = change(recipe_file, codec={**SEANET, **parts}, stages=[METRIC])
    Trainer.start(load_recipe(path), tmp_path / "run").fit()
    codec = checkpoint.trained_network(tmp_path / "run")
    assert not [name for name in codec.state_dict() if "parametrizations" in name]
    export_model(codec, "activated", tmp_path / "model", torch.float32, for_browsers=False)
    model = audiodec.load(tmp_path / "model")
    audio = np.random.default_rng(0).normal(0, 0.1, 2000).astype(np.float32)
    assert model.decode(model.encode(audio), 2000).shape == (2000,)


def test_vocoder_on_a_frozen_autoencoder(
    recipe_file: Path, autoencoder: Path, tmp_path: Path
) -> None:
    """Autoencoder, statistics, vocoder: then the vocoder decodes the autoencoder's codes."""
    decoder = {
        "kind": "hifigan", "channels": 16, "strides": [5, 4], "kernels": [3], "groups": 3,
        "dilations": [1, 3],
    }  # fmt: skip
    path = change(
        recipe_file, codec={**SEANET, "decoder": decoder}, init=str(autoencoder),
        stages=[ADVERSARIAL], statistics=str(tmp_path / "stats.npy"),
    )  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "audiodec",
        "statistics",
        str(path),
        str(tmp_path / "stats.npy"),
    ]
    subprocess.run([*command, "--frames", "2000"], check=True, capture_output=True)
    Trainer.start(load_recipe(path), tmp_path / "run").fit()
    vocoder = checkpoint.trained_network(tmp_path / "run")
    mean, scale = np.load(tmp_path / "stats.npy")
    np.testing.assert_allclose(vocoder.decoder.mean, mean, rtol=1e-6)  # type: ignore[arg-type]
    assert (scale > 0).all()
    export_model(vocoder, "voc", tmp_path / "vocoder", for_browsers=False)
    audio = np.random.default_rng(0).normal(0, 0.1, 2000).astype(np.float32)
    whole = audiodec.load(tmp_path / "vocoder")
    composed = audiodec.load(encoder=autoencoder, decoder=tmp_path / "vocoder")
    codes = audiodec.load(autoencoder).encode(audio)
    assert np.array_equal(composed.encode(audio), codes)
    np.testing.assert_array_equal(composed.decode(codes), whole.decode(codes))
    assert composed.info.weights_hash == whole.info.weights_hash  # who can decode its files


def test_a_run_from_a_model_survives_a_kill_before_its_first_checkpoint(
    recipe_file: Path, autoencoder: Path, tmp_path: Path
) -> None:
    path = change(recipe_file, init=str(autoencoder), stages=[METRIC])
    started = Trainer.start(load_recipe(path), tmp_path / "run")  # and killed here
    resumed = Trainer.resume(tmp_path / "run")
    assert started.started
    assert resumed.started
    for name, value in started.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def test_a_decoder_trained_on_an_imported_models_codes_composes_with_it(
    recipe_file: Path, autoencoder: Path, tmp_path: Path
) -> None:
    """float32 weights as `import` writes them, float16 ones as `export` does: same codebooks."""
    path = change(recipe_file, init=str(autoencoder), stages=[ADVERSARIAL])
    Trainer.start(load_recipe(path), tmp_path / "run").fit()
    export_model(
        checkpoint.trained_network(tmp_path / "run"), "b", tmp_path / "b", for_browsers=False
    )
    assert audiodec.load(encoder=autoencoder, decoder=tmp_path / "b").info.id == "b"


def test_composing_with_other_codebooks_is_refused(autoencoder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(autoencoder, tmp_path / "other")
    weights = load_file(other / WEIGHTS)
    weights["quantizer.codebooks"] += 1e-6
    save_file(weights, other / WEIGHTS)
    about = json.loads((other / INFO).read_text())
    about["files"][WEIGHTS] = hashlib.sha256((other / WEIGHTS).read_bytes()).hexdigest()
    (other / INFO).write_text(json.dumps(about))
    with pytest.raises(audiodec.ModelError, match="different codebooks"):
        audiodec.load(encoder=autoencoder, decoder=other)
    with pytest.raises(audiodec.ModelError, match="do not fit: sample_rate"):
        audiodec.load(encoder=autoencoder, decoder="speech-48k")


def test_denoising_learns_encoder_only(
    recipe_file: Path, autoencoder: Path, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    (tmp_path / "noise").mkdir()
    soundfile.write(tmp_path / "noise" / "n.wav", noise, 16000)
    data = yaml.safe_load(recipe_file.read_text())["data"]
    path = change(
        recipe_file, init=str(autoencoder), stages=[{**METRIC, "trainable": ["encoder"]}],
        data={**data, "noise": [str(tmp_path / "noise")], "snr": [0, 5]},
    )  # fmt: skip
    trainer = Trainer.start(load_recipe(path), tmp_path / "run")
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    trainer.fit()
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("encoder."), name


def test_two_channels_in_one_model(recipe_file: Path, tmp_path: Path) -> None:
    time_axis = np.arange(32000) / 16000
    both = np.stack([np.sin(2 * np.pi * f * time_axis) * 0.2 for f in (220, 330)], axis=1)
    (tmp_path / "binaural").mkdir()
    soundfile.write(tmp_path / "binaural" / "x.wav", both, 16000)
    data = yaml.safe_load(recipe_file.read_text())["data"]
    data["sources"] = [{"path": str(tmp_path / "binaural")}]
    path = change(recipe_file, codec={**SEANET, "channels": 2}, data=data)
    Trainer.start(load_recipe(path), tmp_path / "run").fit()
    export_model(
        checkpoint.trained_network(tmp_path / "run"), "two", tmp_path / "model", for_browsers=False
    )
    codec = audiodec.load(tmp_path / "model")
    audio = both.T.astype(np.float32)[:, :5001]
    decoded = codec.decode(codec.encode(audio), 5001)
    assert decoded.shape == (2, 5001)
    encoder, decoder = codec.encoder(frames_per_packet=2), codec.decoder(2)
    packets = encoder.write(audio[:, :777]) + encoder.write(audio[:, 777:]) + encoder.drain()
    streamed = np.concatenate([decoder.decode(p) for p in packets], axis=1)
    np.testing.assert_allclose(streamed[:, :5001], decoded, atol=1e-5)
    command = [sys.executable, "-m", "audiodec", "roundtrip", "--model", str(tmp_path / "model")]
    files = [str(tmp_path / "binaural" / "x.wav"), str(tmp_path / "out.wav")]
    subprocess.run([*command, *files], check=True, capture_output=True)
    assert soundfile.info(tmp_path / "out.wav").channels == 2
    with pytest.raises(audiodec.AudioError, match="2, samples"):
        codec.encode(audio[0])


@pytest.mark.parametrize("stages", [[METRIC], [METRIC, ADVERSARIAL]])
def test_two_processes_equal_one_with_the_doubled_batch(
    recipe_file: Path, tmp_path: Path, stages: list[dict[str, Any]]
) -> None:
    settings = {**yaml.safe_load(recipe_file.read_text())["quantization"], "dead_below": 0.02}
    # Few steps: by the third, rounding has grown from 1e-7 to a quarter of the encoder's gradient
    # (the logarithm of nearly silent bins), with one process as with two.
    stages = [{**stage, "steps": 3} for stage in stages]
    path = change(recipe_file, stages=stages, quantization={**settings, "centred": True})
    command = [sys.executable, "-m", "audiodec", "train"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for batch, devices in ((4, 1), (2, 2)):
        arguments = [str(path), f"data.batch={batch}", "--out", str(tmp_path / f"run{devices}")]
        subprocess.run(
            [*command, *arguments, "--devices", str(devices)], check=True, env=environment
        )
    one, two = (losses(tmp_path / f"run{n}") for n in (1, 2))
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, two[name], rtol=1e-4, atol=1e-5, err_msg=name)
    codebooks = [
        checkpoint.load(tmp_path / f"run{n}")["codec"]["quantizer.codebooks"] for n in (1, 2)
    ]
    np.testing.assert_allclose(codebooks[0], codebooks[1], atol=1e-5)
    # A checkpoint of two processes goes on with one.
    resumed = Trainer.resume(tmp_path / "run2")
    assert resumed.step == sum(stage["steps"] for stage in stages)


def losses(run: Path) -> dict[str, list[float]]:
    """Logged losses by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith("loss/")]
    return {tag: [point.value for point in events.Scalars(tag)] for tag in tags}


@pytest.mark.parametrize(
    ("change_to", "words"),
    [
        ({"hop": 21}, "do not make hop 21"),
        ({"encoder": {"kind": "sea"}}, "kind must be one of"),
        ({"encoder": {**SEANET["encoder"], "ratio": [1]}}, "encoder.ratio: no such setting"),
    ],
)
def test_mistakes_in_the_codec_are_named(change_to: dict[str, Any], words: str) -> None:
    with pytest.raises(audiodec.ConfigError, match=words):
        from_data(CodecConfig, {**SEANET, **change_to}, "here")
