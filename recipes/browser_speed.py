"""Time a packet in native onnxruntime, Node and Chromium, one after the other on this machine.

python recipes/browser_speed.py   # after `make js`; prints the table of docs/browser.md

One thread each. Of every 2000 packets the second thousand counts. On a machine with other work,
`chrt -f 10` in front keeps that out of the times, except what it does to caches and memory.
"""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import audiodec
from audiodec.audio_files.reading import read_audio
from audiodec.pretrained import find_model

JS = Path(__file__).parent.parent / "js"
SPEECH = Path(audiodec.__file__).parent / "assets" / "speech.flac"
PACKETS = 1000
FRAMES = (1, 3)
Times = dict[str, Any]  # load: ms; frames of a packet: {"encode": [ms], "decode": [ms]}


def native(speech: np.ndarray) -> Times:
    began = time.perf_counter()
    codec = audiodec.load()
    found: Times = {"load": 1000 * (time.perf_counter() - began)}
    for frames in FRAMES:
        encoder, decoder = codec.encoder(frames_per_packet=frames), codec.decoder(frames)
        size, times = frames * codec.hop, {"encode": [], "decode": []}
        for i in range(2 * PACKETS):
            at = i * size % (len(speech) - size)
            start = time.perf_counter()
            (packet,) = encoder.write(speech[at : at + size])
            coded = time.perf_counter()
            decoder.decode(packet)
            if i >= PACKETS:
                times["encode"].append(1000 * (coded - start))
                times["decode"].append(1000 * (time.perf_counter() - coded))
        found[str(frames)] = times
    return found


def node(speech: np.ndarray) -> Times:
    with tempfile.NamedTemporaryFile() as file:
        file.write(speech.tobytes())
        file.flush()
        command = ["node", "test/speed_node.mjs", str(find_model(None)), file.name, str(PACKETS)]
        done = subprocess.run(command, cwd=JS, check=True, capture_output=True, text=True)
    found: Times = json.loads(done.stdout)
    return found


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def chromium(speech: np.ndarray) -> Times:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        (folder / "dist").symlink_to(JS / "dist")
        (folder / "test").symlink_to(JS / "test")
        (folder / "model").symlink_to(find_model(None))
        (folder / "index.html").write_text("<!doctype html>")
        (folder / "speech").write_bytes(speech.tobytes())
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        with served(folder) as address:
            page = browser.new_page()
            page.goto(f"{address}/index.html")
            found: Times = page.evaluate(
                """async ([frames, packets]) => {
                  const began = performance.now();
                  const { load } = await import("/dist/index.js");
                  const codec = await load("/model");
                  const found = { load: performance.now() - began };
                  const { measure } = await import("/test/speed.js");
                  const response = await fetch("/speech");
                  const speech = new Float32Array(await response.arrayBuffer());
                  for (const n of frames) found[n] = await measure(codec, speech, n, packets);
                  return found;
                }""",
                [list(FRAMES), PACKETS],
            )
        browser.close()
    return found


def main() -> None:
    speech = np.ascontiguousarray(read_audio(str(SPEECH)).samples[:, 0])
    hop_ms = 1000 * 320 / 48000
    print("| runtime | load, ms | frames | encode, ms | decode, ms | of real time, p50 |")
    print("|---|---|---|---|---|---|")
    for name, run in {"native onnxruntime": native, "Node": node, "Chromium": chromium}.items():
        found = run(speech)
        for frames in FRAMES:
            times = found[str(frames)]
            told = [
                " / ".join(f"{x:.2f}" for x in np.percentile(times[what], (50, 95, 99)))
                for what in ("encode", "decode")
            ]
            share = sum(np.median(times[what]) for what in times) / (frames * hop_ms)
            print(f"| {name} | {found['load']:.0f} | {frames} | {' | '.join(told)} | {share:.0%} |")


if __name__ == "__main__":
    main()
