"""Copies, pickles and threads of codecs and streams, and what they say of themselves."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audiodec
from audiodec import AudioError
from audiodec.pretrained import BUNDLED
from tests.conftest import noise


@pytest.mark.parametrize("which", ["small", "torch_codec"])
@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_by_themselves(
    which: str, way: Callable[[Any], Any], request: pytest.FixtureRequest
) -> None:
    codec, audio = request.getfixturevalue(which), noise(3000)
    other = way(codec)
    assert np.array_equal(other.encode(audio), codec.encode(audio))
    encoder, decoder = codec.encoder(1.6, frames_per_packet=2), codec.decoder(2)
    packets = encoder.write(audio[:1000])
    heard = [decoder.decode(packet) for packet in packets]
    encoder_copy, decoder_copy = way((encoder, decoder))
    rest = encoder.write(audio[1000:]) + encoder.drain()
    assert rest == encoder_copy.write(audio[1000:]) + encoder_copy.drain()
    heard = [decoder.decode(packet) for packet in rest]
    np.testing.assert_allclose([decoder_copy.decode(p) for p in rest], heard, atol=1e-6)


def test_a_pickled_codec_reloads_its_model_and_knows_it(small_folder: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(small_folder, folder)
    data = pickle.dumps(audiodec.load(folder))
    assert len(data) < 5000
    info = (folder / "model.json").read_text()
    (folder / "model.json").write_text(info.replace('"small"', '"other"'))
    with pytest.raises(audiodec.ModelError, match="not the model"):
        pickle.loads(data)
    shutil.rmtree(folder)
    with pytest.raises(audiodec.ModelError, match="no model"):
        pickle.loads(data)


def test_a_pickled_codec_of_the_package_is_no_path(codec: audiodec.Codec) -> None:
    assert str(BUNDLED).encode() not in pickle.dumps(codec)


def test_a_resampled_stream_says_that_it_cannot_be_copied(small: audiodec.Codec) -> None:
    encoder = small.encoder(sample_rate=44100)
    copy.deepcopy(encoder).write(noise(10))
    encoder.write(noise(10))
    with pytest.raises(AudioError, match="cannot be copied"):
        copy.deepcopy(encoder)
    encoder.reset()
    pickle.dumps(encoder)


@pytest.mark.parametrize("which", ["small", "torch_codec"])
def test_threads_share_a_codec(which: str, request: pytest.FixtureRequest) -> None:
    codec = request.getfixturevalue(which)
    signals = [noise(3000, seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        coded = list(pool.map(codec.encode, signals))
    assert all(np.array_equal(c, codec.encode(s)) for c, s in zip(coded, signals, strict=True))


def test_what_they_are_can_be_read(small: audiodec.Codec, torch_codec: audiodec.Codec) -> None:
    assert repr(small) == (
        "Codec(model='small', runtime='onnx', sample_rate=16000, channels=1, hop=160, "
        "bitrates=[0.8, 1.6, 2.4, 3.2])"
    )
    assert "runtime='torch'" in repr(torch_codec)
    assert repr(small.encoder(1.6, 4)) == (
        "Encoder(model='small', bitrate=1.6, beam_width=4, frames_per_packet=1, sample_rate=16000)"
    )
    assert repr(small.decoder(2, sample_rate=8000)) == (
        "Decoder(model='small', frames_per_packet=2, sample_rate=8000)"
    )
