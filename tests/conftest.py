"""Fixtures: one thread, speech, a small untrained model folder, and the bundled model."""

from __future__ import annotations

import os
import shutil
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

import audiodec
from audiodec.config import (
    CodecConfig,
    QuantizerConfig,
    SpectralDecoderConfig,
    SpectralEncoderConfig,
)
from audiodec.export.onnx import export_model
from audiodec.nn.network import Network

torch.set_num_threads(1)
settings.register_profile("any-speed", deadline=None)  # shared machines pause
settings.load_profile("any-speed")
NOTHING_MAY_SKIP = "AUDIODEC_NOTHING_MAY_SKIP" in os.environ  # set by .ci/run
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
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That network as an exported model folder, made once for all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # common to the workers
    folder = base / "models" / "small"
    with FileLock(base / "small.lock"):
        if not folder.exists():
            torch.manual_seed(0)
            network = Network(SMALL)
            torch.nn.init.normal_(network.quantizer.codebooks)
            export_model(network, "small", folder)
    return folder


@pytest.fixture(scope="session")
def small(small_folder: Path) -> audiodec.Codec:
    return audiodec.load(small_folder)


@pytest.fixture(scope="session")
def codec() -> audiodec.Codec:
    """The bundled default model."""
    return audiodec.load()


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
    reason = "playwright is not installed: no browser to drive"
    sync_api = pytest.importorskip("playwright.sync_api", reason=reason)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if chromium is None:
        pytest.skip("no chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


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
