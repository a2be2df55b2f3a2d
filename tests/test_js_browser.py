"""The npm package in a real browser: the same packets and files, in a worker, from a microphone."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import audiodec
from tests.page_tools import chromium, hearing, served

ROOT = Path(__file__).parent.parent
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
HELPERS = """
window.base64 = (array) => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
};
window.floats = (text) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
};
"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """A static server; pages below /isolated/ may share memory between threads."""

    def end_headers(self) -> None:
        if self.path.startswith("/isolated/"):
            for name, value in ISOLATED.items():
                self.send_header(name, value)
        super().end_headers()

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.removeprefix("/isolated").removeprefix("/plain"))

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of the built package, the default model and an empty page."""
    if not (ROOT / "js" / "dist" / "index.js").exists():
        pytest.skip("no js/dist: make js")
    folder = tmp_path_factory.mktemp("site")
    (folder / "dist").symlink_to(ROOT / "js" / "dist")
    (folder / "model").symlink_to(ROOT / "src/audiodec/models/speech-48k")
    (folder / "index.html").write_text("<!doctype html><link rel=icon href=data:,>")
    handler = functools.partial(Handler, directory=str(folder))
    with served(handler) as address:
        yield address


@contextlib.contextmanager
def opened(browser: Any, address: str) -> Iterator[Any]:
    """A page; at the end nothing may have gone wrong in its console."""
    page = browser.new_page()
    problems: list[str] = []
    page.on("console", lambda m: problems.append(m.text) if m.type != "log" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.add_init_script(HELPERS)
    page.goto(address)
    yield page
    page.close()
    assert problems == []


def _floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.float32)


def test_a_page_hears_and_makes_what_python_does(
    site: str, codec: audiodec.Codec, speech: np.ndarray
) -> None:
    speech = speech[:48000]
    with chromium() as browser, opened(browser, f"{site}/plain/index.html") as page:
        said = page.evaluate(
            """async (speech) => {
              const { load, loadInWorker } = await import("/plain/dist/index.js");
              const told = [];
              const codec = await loadInWorker("/plain/model", { progress: (p) => told.push(p) });
              const signal = floats(speech);
              const encoder = codec.encoder({ bitrate: 6, framesPerPacket: 3 });
              const packets = [...(await encoder.write(signal)), ...(await encoder.drain())];
              const file = await codec.encodeFile([signal]);
              const read = await codec.decodeFile(file);
              let refused;
              await encoder.write(new Float32Array([NaN])).catch((error) => (refused = error));
              const cached = await (await caches.open("audiodec")).keys();
              const again = await loadInWorker("/plain/model");
              return {
                packets: packets.map(base64), file: base64(file), read: base64(read.channels[0]),
                refused: [refused.name, refused.message], cached: cached.length,
                told: told.at(-1), again: again.info.id,
              };
            }""",
            base64.b64encode(speech).decode(),
        )
    decoder, hop = codec.decoder(frames_per_packet=3), codec.hop
    heard = np.concatenate([decoder.decode(base64.b64decode(p)) for p in said["packets"]])
    assert 0 <= len(heard) - len(speech) < 3 * hop
    codes = codec.encode(speech)
    np.testing.assert_allclose(_floats(said["read"]), codec.decode(codes, len(speech)), atol=1e-4)
    assert said["refused"] == [
        "AudioError",
        "samples hold values that are not finite (NaN or infinity)",
    ]
    assert said["told"]["loaded"] == said["told"]["total"] > 1e7
    assert said["cached"] == 4  # weights and three graphs
    assert said["again"] == codec.info.id


@pytest.mark.parametrize("shared", ["plain", "isolated"])
def test_a_microphone_is_coded_in_the_worker(
    shared: str, site: str, codec: audiodec.Codec, speech: np.ndarray, tmp_path: Path
) -> None:
    source = tmp_path / "speech.wav"
    soundfile.write(source, np.tile(speech, 3), 48000, "PCM_16")
    flags = (*hearing(source), "--use-fake-ui-for-media-stream")
    with chromium(*flags) as browser, opened(browser, f"{site}/{shared}/index.html") as page:
        said = page.evaluate(
            """async (root) => {
              const { loadInWorker } = await import(`/${root}/dist/index.js`);
              const codec = await loadInWorker(`/${root}/model`);
              const context = new AudioContext({ sampleRate: codec.sampleRate });
              await context.resume();
              const stream = await navigator.mediaDevices.getUserMedia({ audio: {
                echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
              const encoder = codec.encoder({ framesPerPacket: 3 });
              const packets = [];
              const microphone = await encoder.listen(context, stream, (p) => packets.push(...p));
              while (packets.length < 75) await new Promise((resolve) => setTimeout(resolve, 50));
              microphone.close();
              return { packets: packets.map(base64), isolated: crossOriginIsolated };
            }""",
            shared,
        )
    assert said["isolated"] == (shared == "isolated")
    decoder = codec.decoder(frames_per_packet=3)
    heard = np.concatenate([decoder.decode(base64.b64decode(p)) for p in said["packets"]])
    assert len(heard) >= 75 * 960
    spectrum = np.fft.rfft(heard, 2**19) * np.conj(np.fft.rfft(speech, 2**19))
    match = np.fft.irfft(spectrum).max() / np.sqrt(np.square(speech).sum() * np.square(heard).sum())
    assert match > 0.3  # it is that voice, and not noise
