"""Fixtures: one thread, speech, a small untrained model folder, and the bundled model."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from filelock import FileLock
from hypothesis import settings
from safetensors.torch import save_file

import audiodec
from audiodec.adc import encode_file
from audiodec.config import (
    CodecConfig,
    QuantizerConfig,
    SeanetDecoderConfig,
    SeanetEncoderConfig,
    SpectralDecoderConfig,
    SpectralEncoderConfig,
    to_data,
)
from audiodec.export.concealment import export_concealment
from audiodec.export.onnx import export_model
from audiodec.nn.concealment import ConcealmentNetwork
from audiodec.nn.network import Network
from audiodec.pretrained import DECODER, ENCODER, INFO, WEIGHTS

torch.set_num_threads(1)
settings.register_profile("any-speed", deadline=None)  # shared machines pause
settings.load_profile("any-speed")
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    # Below nohup. The tests still ignore it; programs that they start no longer inherit that.
    signal.signal(signal.SIGHUP, lambda *_: None)
NOTHING_MAY_SKIP = "AUDIODEC_NOTHING_MAY_SKIP" in os.environ  # set by .ci/run
MadeOnce = Callable[[str, Callable[[Path], object]], Path]
SPEECH = Path(audiodec.__file__).parent / "assets" / "speech.flac"

SMALL = CodecConfig(
    sample_rate=16000,
    hop=160,
    encoder=SpectralEncoderConfig(width=24, dilations=(1, 2), bands=12, offset_frames=3),
    quantizer=QuantizerConfig(codebooks=4, codebook_size=256, dim=8),
    decoder=SpectralDecoderConfig(
        width=24, dilations=(1, 2), bands=12, overlap=32, noise_width=500
    ),
)


BINAURAL = CodecConfig(
    sample_rate=16000,
    hop=20,
    channels=2,
    encoder=SeanetEncoderConfig(kind="seanet", channels=4, ratios=(2, 4), strides=(4, 5)),
    quantizer=QuantizerConfig(codebooks=2, codebook_size=16, dim=6),
    decoder=SeanetDecoderConfig(kind="seanet", channels=4, ratios=(4, 2), strides=(5, 4)),
)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    """2.7 s of real speech at 48 kHz, [samples]."""
    return soundfile.read(SPEECH, dtype="float32")[0]


@pytest.fixture
def small_network() -> Network:
    """A small network with random weights and codebooks, the same every time."""
    torch.manual_seed(0)
    network = Network(SMALL).eval()
    torch.nn.init.normal_(network.quantizer.codebooks)
    return network


@pytest.fixture(scope="session")
def made_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> MadeOnce:
    """Gives a folder by its name, made by the first process of a run that asks for it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # common to the workers

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder = base / "made" / name
        with FileLock(base / f"{name}.lock"):
            if not folder.exists():
                make(folder)
        return folder

    return once


@pytest.fixture(scope="session")
def small_folder(made_once: MadeOnce) -> Path:
    """That network as an exported model folder."""

    def make(folder: Path) -> None:
        torch.manual_seed(0)
        network = Network(SMALL)
        torch.nn.init.normal_(network.quantizer.codebooks)
        export_model(network, "small", folder)

    return made_once("small", make)


@pytest.fixture(scope="session")
def small(small_folder: Path) -> audiodec.Codec:
    return audiodec.load(small_folder)


def concealment_network() -> ConcealmentNetwork:
    """Random weights, loud enough to be heard."""
    torch.manual_seed(1)
    network = ConcealmentNetwork(
        SMALL.quantizer.dim, torch.ones(SMALL.quantizer.dim), width=16, heads=(0, 2)
    )
    torch.nn.init.normal_(network.contract[1].weight, std=0.5)
    return network


@pytest.fixture(scope="session")
def guessing_folder(small_folder: Path, made_once: MadeOnce) -> Path:
    """The small model with a concealment graph."""
    return made_once(
        "guessing", lambda folder: export_concealment(concealment_network(), small_folder, folder)
    )


@pytest.fixture(scope="session")
def guessing(guessing_folder: Path) -> audiodec.Codec:
    return audiodec.load(guessing_folder)


@pytest.fixture(scope="session")
def codec() -> audiodec.Codec:
    """The bundled default model."""
    return audiodec.load()


@pytest.fixture(scope="session")
def torch_codec(small_folder: Path) -> audiodec.Codec:
    return audiodec.load(small_folder, runtime="torch")


@pytest.fixture(scope="session")
def binaural(tmp_path_factory: pytest.TempPathFactory) -> audiodec.Codec:
    """A model that codes two channels together, for torch: its graphs are not there."""
    torch.manual_seed(0)
    network, folder = Network(BINAURAL), tmp_path_factory.mktemp("binaural")
    torch.nn.init.normal_(network.quantizer.codebooks)
    save_file(network.state_dict(), folder / WEIGHTS)
    for name in (ENCODER, DECODER):
        (folder / name).write_bytes(b"")
    hashes = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in (WEIGHTS, ENCODER, DECODER)
    }
    info = {"id": "binaural", "codec": to_data(BINAURAL), "files": hashes}
    (folder / INFO).write_text(json.dumps(info))
    return audiodec.load(folder, runtime="torch")


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 40_000), 16000)
    return path


@pytest.fixture
def adc(small: audiodec.Codec, wav: Path, tmp_path: Path) -> Path:
    path = tmp_path / "a.adc"
    encode_file(str(wav), str(path), codec=small)
    return path


@pytest.fixture
def start_server(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes a server of streams (`serve_tools.Served`); with the small model if none is given."""
    from audiodec.serve.limits import Limits
    from tests.serve_tools import Served

    def start(
        *codecs: audiodec.Codec, tokens: tuple[str, ...] = (),
        ice: list[dict[str, Any]] | None = None, folders: dict[str, Path] | None = None,
        **limits: Any,
    ) -> Served:  # fmt: skip
        within = Limits(**{"drain": 5, **limits})
        served = list(codecs) or [request.getfixturevalue("small")]  # made only where it is needed
        return Served(served, within, list(tokens), ice=ice, folders=folders)

    return start


@pytest.fixture
def serve_rooms(codec: audiodec.Codec, start_server: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a server with rooms and files; with the bundled model, which needs not be made."""
    return partial(start_server, codec)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser, `playwright.sync_api.Browser`; skips, saying why, where there is none."""
    from tests.page_tools import chromium

    with chromium() as browser:
        yield browser


def _refuse_skip(report: Any, optional: bool) -> None:
    """Where nothing may be missing, a skipped test has failed."""
    if NOTHING_MAY_SKIP and report.skipped and not optional and not hasattr(report, "wasxfail"):
        *_, reason = report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be missing: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    _refuse_skip(report, item.get_closest_marker("optional") is not None)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    report = yield
    _refuse_skip(report, optional=False)
    return report
