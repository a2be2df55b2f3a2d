"""Lost frames are guessed from what is known around them; what was received stays as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import audiodec
from audiodec.bitstream.packet import Arrived
from audiodec.errors import ModelError
from audiodec.export.concealment import export_concealment
from audiodec.pretrained import CONCEALMENT, find_model
from audiodec.serve.batch import DecoderBatch
from audiodec.training.concealment import draw_known
from tests.conftest import SMALL, SPEECH, concealment_network

DIM, FRAMES = SMALL.quantizer.dim, 3


def packets_of(codec: audiodec.Codec, speech: np.ndarray) -> list[bytes]:
    return codec.encoder(frames_per_packet=FRAMES).write(speech)[:60]


def test_the_network_sees_around_holes_and_is_stateless() -> None:
    network = concealment_network()
    latents, known = torch.randn(2, DIM, 40), torch.ones(2, 40)
    known[:, 20:26] = 0
    latents[..., 20:26] = 0
    with torch.no_grad():
        guess = network(latents, known)
        latents[..., 30] += 1
        later = network(latents, known)
    assert not torch.allclose(guess[..., 22], later[..., 22])


def test_what_is_received_decodes_as_without_the_graph(
    small: audiodec.Codec, guessing: audiodec.Codec, speech: np.ndarray
) -> None:
    packets = packets_of(small, speech)
    assert guessing.info.id == small.info.id
    decoders = [codec.decoder(FRAMES) for codec in (small, guessing)]
    for packet in packets:
        first, second = (decoder.decode(packet) for decoder in decoders)
        np.testing.assert_array_equal(first, second)
    reach = -(-round(0.15 * small.sample_rate) // small.hop) // FRAMES + 1
    for decoder in decoders:
        decoder.decode(None)
        decoder.decode(packets[20], coarse=True)
    for n, packet in enumerate(packets[: 2 * reach]):
        first, second = (decoder.decode(packet) for decoder in decoders)
        if n > reach:
            np.testing.assert_allclose(first, second, atol=1e-5)


def test_guesses_differ_with_what_is_known(guessing: audiodec.Codec, speech: np.ndarray) -> None:
    packets, format = packets_of(guessing, speech), guessing.config.packet_format(FRAMES)
    coarse = format.pack(format.unpack(packets[30])[:1])
    heard = []
    for packet, ahead in ((None, ()), (None, (packets[31],)), (None, (None, packets[32])),
                          (coarse, ()), (coarse, (packets[31],))):  # fmt: skip
        decoder = guessing.decoder(FRAMES)
        for before in packets[:30]:
            decoder.decode(before)
        heard.append(decoder.decode(packet, coarse=packet is not None, ahead=ahead))
    for i, first in enumerate(heard):
        for second in heard[:i]:
            assert np.abs(first - second).max() > 1e-4
    plain = guessing.decoder(FRAMES)
    for before in packets[:30]:
        plain.decode(before)
    assert np.abs(plain.decode(coarse) - heard[3]).max() > 1e-4  # a low bitrate is no loss


def test_a_long_gap_ends_in_silence_and_speech_comes_back(
    guessing: audiodec.Codec, speech: np.ndarray
) -> None:
    packets, decoder = packets_of(guessing, speech), guessing.decoder(FRAMES)
    for packet in packets[:30]:
        decoder.decode(packet)
    gap = [decoder.decode(None) for _ in range(15)]
    assert np.abs(gap[0]).max() > 0
    assert not gap[-1].any()
    assert np.abs(decoder.decode(packets[45])).max() > 0


def test_all_runtimes_guess_alike(guessing_folder: Path, speech: np.ndarray) -> None:
    codecs = [audiodec.load(guessing_folder, runtime=name) for name in ("onnx", "torch")]
    packets = packets_of(codecs[0], speech)
    decoders = [codec.decoder(FRAMES) for codec in codecs]
    for n, packet in enumerate(packets[:40]):
        first, second = (decoder.decode(None if n % 5 == 4 else packet) for decoder in decoders)
        np.testing.assert_allclose(first, second, atol=1e-4)


def test_streams_of_a_batch_are_concealed_as_they_are_alone(
    guessing: audiodec.Codec, speech: np.ndarray
) -> None:
    packets, format = packets_of(guessing, speech), guessing.config.packet_format(FRAMES)
    coarse = [format.pack(format.unpack(packet)[:1]) for packet in packets]
    random, alone, given = np.random.default_rng(0), [], []
    for _ in range(3):
        decoder, own, sound = guessing.decoder(FRAMES), [Arrived(packets[0])], []
        for n in range(1, 40):
            kind, ahead = random.integers(4), tuple(packets[n + 1 : n + 1 + random.integers(3)])
            own.append(
                [Arrived(packets[n]), Arrived(packets[n], ahead=ahead), Arrived(None, False, ahead),
                 Arrived(coarse[n], True, ahead)][kind]
            )  # fmt: skip
        for one in own:
            sound.append(decoder.decode(one.packet, coarse=one.coarse, ahead=one.ahead))
        alone.append(np.concatenate(sound))
        given.append(own)
    batch, rows = DecoderBatch(guessing.runtime, 4), np.array([2, 0, 3])
    sound = [batch.decode(rows, [own[n : n + 4] for own in given], format)[:, 0]
             for n in range(0, 40, 4)]  # fmt: skip
    np.testing.assert_allclose(np.concatenate(sound, axis=1), np.stack(alone), atol=1e-4)


def test_a_graph_that_was_changed_is_refused(guessing_folder: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(guessing_folder, changed)
    (changed / CONCEALMENT).write_bytes((guessing_folder / CONCEALMENT).read_bytes() + b" ")
    with pytest.raises(ModelError, match=r"concealment\.onnx is damaged or changed"):
        audiodec.load(changed)
    with pytest.raises(ModelError, match="already exists"):
        export_concealment(concealment_network(), guessing_folder, changed)


def test_training_draws_runs_copies_and_a_present() -> None:
    random = np.random.default_rng(0)
    drawn = [draw_known(random, 64, 8, (1, 3, 6)) for _ in range(300)]
    levels, guessed = (np.stack(part) for part in zip(*drawn, strict=True))
    assert set(np.unique(levels)) >= {0, 1, 2, 3, 4, 8}
    assert not guessed[levels == 8].any()
    assert 0.1 < guessed.mean() < 0.6
    assert 0.5 < (levels[:, -1] == 0).mean() < 1  # the present is seldom at the end


@pytest.mark.slow
def test_the_recipe_teaches_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    listed, tokens, out = tmp_path / "list.txt", tmp_path / "tokens", tmp_path / "out"
    listed.write_text(f"{SPEECH}\n")
    command = ["tokenize", str(listed), str(tokens), "--format", "webdataset"]
    subprocess.run([sys.executable, "-m", "audiodec", *command], check=True)
    recipe = str(Path(__file__).parents[1] / "recipes" / "concealment.py")

    def run(steps: int) -> None:
        options = [str(tokens), "speech-48k", str(out), "--steps", str(steps)]
        subprocess.run([sys.executable, recipe, *options], check=True)

    run(2)
    first = (out / CONCEALMENT).read_bytes()
    out.rename(tmp_path / "first")
    run(4)  # from the second step on
    assert (out / CONCEALMENT).read_bytes() != first
    files = json.loads((out / "model.json").read_text())["files"]
    original = json.loads((find_model(None) / "model.json").read_text())
    assert files.items() >= {k: v for k, v in original["files"].items() if k != CONCEALMENT}.items()
    assert audiodec.load(out).runtime.concealment is not None
