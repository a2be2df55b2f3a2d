"""Every codec behind one interface, on real speech; what cannot run here says how to get it."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import audiodec
from audiodec.evaluation.codecs import (
    Live,
    MissingCodecError,
    Opus,
    OpusSpec,
    Ours,
    OursSpec,
    available,
    code,
    find_specs,
)
from audiodec.evaluation.codecs.base import resampled
from audiodec.evaluation.metrics import align, estoi
from tests.codec_tools import peers

EXAMPLE = Path(__file__).parents[1] / "examples" / "third_party_codec"
NODE = Path(__file__).parents[1] / "build" / "peers" / "nolace"


def test_ours_is_the_library_in_whole_bytes(codec: audiodec.Codec, speech: np.ndarray) -> None:
    for peer in peers("ours", 1.5, 3, 12):  # four frames, two, and one in a packet
        result = code(peer, speech)
        expected = codec.decode(codec.encode(speech, peer.kbps), len(speech))
        np.testing.assert_allclose(result.audio, expected, atol=1e-5)
        assert result.payload_bytes * 8 * 48 / len(speech) == pytest.approx(peer.kbps, rel=1e-3)
    assert [peer.kbps for peer in peers("ours")] == codec.bitrates
    assert Ours(codec, 12).latency_ms == pytest.approx(1000 * codec.hop / 48000)


def test_any_model_is_a_codec(small_folder: Path, speech: np.ndarray) -> None:
    (peer,) = peers(str(small_folder), 3.2)
    assert (peer.sample_rate, peer.family) == (16000, "AudioDec small")
    assert code(peer, speech).audio.shape == speech.shape
    (same,) = peers("ours", 3.2, model=str(small_folder), beam_width=4)
    assert same.name == "AudioDec small beam 4 3.2"


# The lowest ESTOI is of the lowest rate, some 0.05 below what was measured.
CLASSICAL = {
    "opus": 0.8,
    "opus-fullband": 0.6,
    "amr-wb": 0.84,
    "lc3": 0.87,
    "lc3-fullband": 0.91,
    "speex": 0.7,
}


@pytest.mark.parametrize("name", CLASSICAL)
def test_classical_codecs_code_speech(name: str, speech: np.ndarray) -> None:
    scores = []
    for peer in peers(name):
        result = code(peer, speech)
        assert result.audio.shape == speech.shape
        kbps = result.payload_bytes * 8 * 48 / len(speech)
        # Fullband Opus cannot go below 8 kbps; AMR-WB and Speex pad frames to bytes.
        assert 0.85 * peer.kbps < kbps < 1.1 * max(peer.kbps, 8 if "fullband" in name else 0)
        original, decoded, lag = align(speech, result.audio, 48000)
        scores.append(estoi(speech, result.audio, 48000))
        if scores[-1] > 0.78:  # below, the waveform is no longer followed
            assert abs(lag) <= 6  # an eighth of a millisecond
            assert np.corrcoef(original, decoded)[0, 1] > 0.85
        assert peer.streaming
        assert 10 < peer.latency_ms < 35
    assert min(scores) > CLASSICAL[name]
    assert scores[-1] > 0.95
    assert scores[-1] > scores[0]


def test_codec2_keeps_words_and_time(speech: np.ndarray) -> None:
    shift = 720  # 15 ms: it keeps no waveform to align, but words have their time
    for peer in peers("codec2"):
        result = code(peer, speech)
        heard = estoi(speech, result.audio, 48000)
        assert heard > (0.4 if peer.kbps < 1 else 0.6)
        assert heard > estoi(speech, np.roll(result.audio, shift), 48000)
        assert heard > estoi(speech, np.roll(result.audio, -shift), 48000)
        kbps = result.payload_bytes * 8 * 48 / len(speech)
        assert peer.kbps <= kbps + 0.01 < 1.2 * peer.kbps  # 28 bits are four bytes


def test_nolace_changes_the_sound_and_not_the_packets(
    speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    if NODE.exists():  # as CI installs it
        monkeypatch.setenv("AUDIODEC_PEERS", str(NODE.parent))
    (enhanced,) = peers("opus-nolace", 9)
    plain = Opus(9, fullband=False)
    assert enhanced.encode(speech) == plain.encode(speech)
    one, other = code(enhanced, speech), code(plain, speech)
    assert abs(align(one.audio, other.audio, 48000)[2]) <= 6
    assert estoi(speech, one.audio, 48000) > 0.88
    assert np.abs(one.audio - other.audio).max() > 0.01
    with pytest.raises(audiodec.AudioDecError, match="INVALID_PACKET"):
        enhanced.decode([b"\xff" * 3])


def test_opus_over_losses_recovers_with_fec(speech: np.ndarray) -> None:
    lost = [number % 5 == 3 for number in range(len(speech) // 960 + 2)]
    opus = Opus(24, fullband=False)
    with_fec, _ = opus.over_losses(speech, lost, 0.2)
    without, _ = opus.over_losses(speech, lost, 0.0)
    assert estoi(speech, with_fec, 48000) > estoi(speech, without, 48000) + 0.03
    clean, size = opus.over_losses(speech, [], 0.0)
    result = code(opus, speech)
    np.testing.assert_array_equal(clean, result.audio)
    assert size == pytest.approx(result.payload_bytes, rel=0.01)


@pytest.mark.parametrize("name", ["opus", "amr-wb", "lc3", "speex", "codec2", "ours"])
@pytest.mark.parametrize("length", [0, 1, 959])
def test_short_clips_keep_their_length(name: str, length: int, speech: np.ndarray) -> None:
    peer = peers(name)[0]
    assert code(peer, speech[:length]).audio.shape == (length,)


@pytest.mark.parametrize("name", [*CLASSICAL, "codec2", "ours"])
def test_live_streams_do_not_disturb_each_other(name: str, speech: np.ndarray) -> None:
    """Packets of two streams coded in turn are those of each alone."""
    peer = peers(name)[0]
    assert isinstance(peer, Live)
    frames = resampled(speech, 48000, peer.sample_rate)[: 20 * peer.frame].reshape(2, 10, -1)
    alone = [peer.encode(stream.ravel())[:10] for stream in frames]
    expected = [peer.decode(packets)[: 9 * peer.frame - peer.delay] for packets in alone]
    with peer.encoder() as one, peer.encoder() as other:
        packets = [(one(a), other(b)) for a, b in zip(*frames, strict=True)]
    assert [list(stream) for stream in zip(*packets, strict=True)] == alone
    with peer.decoder() as one, peer.decoder() as other:
        decoded = [(one(a), other(b)) for a, b in packets]
    for stream, audio in zip(zip(*decoded, strict=True), expected, strict=True):
        assert {len(piece) for piece in stream} == {peer.frame}
        if name == "codec2":  # random phases, drawn from one source by all streams of a process
            continue
        np.testing.assert_array_equal(np.concatenate(stream)[peer.delay :][: len(audio)], audio)


def test_rates_asked_for_are_the_nearest_on_offer() -> None:
    specs = find_specs(["ours", "opus", "opus-fullband"], [3, 12])
    assert specs[:2] == [OursSpec(None, 3), OursSpec(None, 12)]
    names = [spec.create().name.split(" ", 2)[2] for spec in specs[2:]]
    assert names == ["auto 12", "fullband 12"]  # 3 kbps is too low for Opus
    assert [peer.kbps for peer in peers("amr-wb", 12, 6)] == [12.65, 6.6]


def test_mistakes_are_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(audiodec.ConfigError, match="no codec or model 'opsu': codecs are ours, o"):
        find_specs(["opsu"], None)
    with pytest.raises(audiodec.ConfigError, match="nothing at 3 kbps"):
        find_specs(["opus"], [3])
    monkeypatch.setenv("AUDIODEC_PEERS", str(tmp_path))
    monkeypatch.setattr("audiodec.evaluation.codecs.native.find_library", lambda name: None)
    with pytest.raises(MissingCodecError, match="apt-get install libvo-amrwbenc0 libopencore-amrw"):
        find_specs(["amr-wb"], None)
    reasons = available()
    assert reasons["ours"] is None
    assert "apt-get install libspeex1" in str(reasons["speex"])
    for name in ("opus-nolace", "encodec", "dac", "mimi", "snac", "lyra"):  # tmp_path is empty
        line = str(reasons[name])
        assert " install " in line or str(tmp_path / name) in line
        assert "\n" not in line
    assert not any("random" in name for name in reasons)


def install_example(folder: Path) -> None:
    """What `pip install examples/third_party_codec` leaves behind, without the network."""
    shutil.copy(EXAMPLE / "mulaw.py", folder)
    info = folder / "audiodec_mulaw-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: audiodec-mulaw\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[audiodec.codecs]\nmu-law = mulaw:FAMILY\n")


def test_the_example_of_a_third_party_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speech: np.ndarray
) -> None:
    assert 'mu-law = "mulaw:FAMILY"' in (EXAMPLE / "pyproject.toml").read_text()
    install_example(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert available()["mu-law"] is None
    (peer,) = peers("mu-law", 64)
    result = code(peer, speech)
    assert result.payload_bytes * 8 * 48 / len(speech) == pytest.approx(64, rel=0.01)
    assert estoi(speech, result.audio, 48000) > 0.75  # telephone bandwidth


def test_a_broken_third_party_breaks_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_example(tmp_path)
    (tmp_path / "mulaw.py").write_text("raise RuntimeError('broken')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mulaw", raising=False)
    assert "mulaw:FAMILY) cannot be loaded: broken" in str(available()["mu-law"])
    assert find_specs(["opus"], [12])


def test_the_docs_name_every_codec_and_show_the_example() -> None:
    folder = EXAMPLE.parents[1] / "docs"
    assert (EXAMPLE / "mulaw.py").read_text() in (folder / "add-a-codec.md").read_text()
    docs = (folder / "codecs.md").read_text()
    listed = re.findall(r"^\| `([a-z0-9-]+)`", docs, re.M)
    own = [name for name in available() if name != "mu-law"]
    assert listed == own


def test_specs_reach_other_processes() -> None:
    specs = find_specs(["opus", "ours"], [12])
    script = "import pickle, sys; print(*[s.create().name for s in pickle.load(sys.stdin.buffer)])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps(specs), capture_output=True, check=True, env=os.environ,
    )  # fmt: skip
    assert done.stdout.decode().split()[-3:] == ["AudioDec", audiodec.load().info.id, "12"]
    assert OpusSpec(12, fullband=True).create().family.endswith("fullband")


def test_listing_codecs_needs_no_extra() -> None:
    script = (
        "import sys; sys.modules |= dict.fromkeys(['torch', 'av', 'lc3'])\n"
        "from audiodec.evaluation.codecs import available; import json\n"
        "print(json.dumps(available()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    reasons = json.loads(done.stdout)
    assert reasons["ours"] is None
    assert ".[bench]" in reasons["opus"]
    assert ".[bench]" in reasons["lc3"]
    assert reasons["encodec"] == "encodec needs a package: pip install torch"
    assert "encodec-random" not in reasons
