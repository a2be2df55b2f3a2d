"""The npm package in js/ against Python: the same packets and files, the same sound."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec.adc import decode_file, encode_file
from audiodec.bitstream.packet import Arrived, PacketFormat
from audiodec.bitstream.reader import Reader

JS = Path(__file__).parent.parent / "js"
SAME_SOUND = 1e-4  # of full scale
DIFFERING_CODES = 1e-3  # two code vectors may be as near as rounding
LOST = {0, 7, 8, 9, *range(20, 40)}  # packets
COARSE = {8, 12, 13, 31}  # of which only the first codebook comes


def _text(array: np.ndarray | bytes) -> str:
    return base64.b64encode(array).decode()


def _optional(packet: bytes | None) -> str | None:
    return None if packet is None else _text(packet)


def arrivals(packets: list[bytes], format: PacketFormat) -> Iterator[Arrived]:
    """Lost packets, some of them but for a coarse copy, and what is there of the next ones."""
    for i, packet in enumerate(packets):
        near = range(i + 1, min(i + 5, len(packets)))
        ahead = tuple(None if n in LOST else packets[n] for n in near)
        if i in COARSE:
            yield Arrived(format.pack(format.unpack(packet)[:1]), coarse=True, ahead=ahead)
        else:
            yield Arrived(None, ahead=ahead) if i in LOST else Arrived(packet)


def _floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.float32)


def _codes_in(file: bytes) -> np.ndarray:
    """Codes of an undamaged file of one stream, [codebooks, frames]."""
    reader = Reader(io.BytesIO(file))
    assert not reader.damage
    return np.concatenate([block.codes[0] for block in reader.blocks() if block.codes], axis=1)


def run_js(script: str, task: dict[str, Any]) -> dict[str, Any]:
    """What a script in js/ makes of a task."""
    if not shutil.which("node") or not (JS / "node_modules").exists():
        pytest.skip("no node, or no js/node_modules: make js")
    done = subprocess.run(
        ["node", script], cwd=JS, input=json.dumps(task), text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("name", ["codec", "small", "guessing"])
def test_both_ends_make_and_hear_the_same(
    name: str, request: pytest.FixtureRequest, speech: np.ndarray, tmp_path: Path
) -> None:
    codec: audiodec.Codec = request.getfixturevalue(name)
    folder = codec.runtime._model.decoder  # type: ignore[attr-defined]
    source, file = tmp_path / "speech.wav", tmp_path / "speech.adc"
    soundfile.write(source, speech, codec.sample_rate, "FLOAT")
    count = codec.num_codebooks - 1
    encode_file(source, file, codec=codec, num_codebooks=count, beam_width=1)
    encoder = codec.encoder(frames_per_packet=3)
    packets = encoder.write(speech)
    sent = list(arrivals(packets, codec.config.packet_format(3)))
    pieces = list(range(0, len(speech), 6 * codec.hop))
    said = run_js(
        "test/other_end.mjs",
        {
            "model": str(folder),
            "speech": _text(speech),
            "frames_per_packet": 3,
            "packets": [
                {
                    "packet": _optional(own.packet),
                    "coarse": own.coarse,
                    "ahead": [_optional(packet) for packet in own.ahead],
                }
                for own in sent
            ],
            "pieces": pieces,
            "num_codebooks": count,
            "file": _text(file.read_bytes()),
        },
    )

    decoder = codec.decoder(frames_per_packet=3)  # Python's packets heard in JavaScript
    for own, heard in zip(sent, said["heard"], strict=True):
        expected = decoder.decode(own.packet, coarse=own.coarse, ahead=own.ahead)
        np.testing.assert_allclose(_floats(heard), expected, atol=SAME_SOUND)

    theirs = np.stack([np.frombuffer(base64.b64decode(row), np.uint16) for row in said["codes"]])
    codes = codec.encode(speech)
    assert (theirs != codes).mean() < DIFFERING_CODES
    heard = codec.decode(theirs.astype(np.int64), len(speech))  # JavaScript's codes in Python
    np.testing.assert_allclose(_floats(said["decoded"]), heard, atol=SAME_SOUND)

    encoder.reset()
    made: list[bytes] = []
    for i, at in enumerate(pieces):
        encoder.num_codebooks = i % codec.num_codebooks + 1
        made += encoder.write(speech[at : at + 6 * codec.hop])
    assert [len(packet) for packet in made] == [
        len(base64.b64decode(packet)) for packet in said["packets"]
    ]

    target = tmp_path / "decoded.wav"  # files
    decode_file(file, target, codec=codec)
    assert said["damage"] == ""
    np.testing.assert_allclose(_floats(said["read"]), soundfile.read(target)[0], atol=SAME_SOUND)
    back = base64.b64decode(said["file"])
    assert back[:64] == file.read_bytes()[:64]
    assert (_codes_in(back) != _codes_in(file.read_bytes())).mean() < DIFFERING_CODES
