"""Audio files through .adc and back: formats, rates, channels, pipes, damage, bounded memory."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec import AudioError, FormatError, ModelError
from audiodec.adc import BEAM_WIDTH, decode_file, encode_file
from audiodec.bitstream.container import frames_per_block
from audiodec.pretrained import find_model
from tests.test_bitstream import mutate


def write_audio(path: Path, samples: int, rate: int, channels: int = 1) -> np.ndarray:
    time = np.arange(samples)[:, None] / rate
    audio = 0.3 * np.sin(2 * np.pi * time * (220 * (1 + np.arange(channels))))
    soundfile.write(path, audio, rate)
    return audio


RATES = [8000, 16000, 22050, 44100, 48000, 96000]


@pytest.mark.parametrize(
    ("suffix", "rate"),
    [(suffix, rate) for suffix in ("wav", "flac") for rate in RATES]
    + [("ogg", rate) for rate in RATES[:-1]],  # Vorbis is not used at 96 kHz here
)
@pytest.mark.parametrize("samples", [1, 1000, 44_101])
def test_length_rate_and_channels_are_kept(
    small: audiodec.Codec, tmp_path: Path, suffix: str, rate: int, samples: int
) -> None:
    source, packed, out = (str(tmp_path / n) for n in (f"in.{suffix}", "x.adc", "out.wav"))
    write_audio(Path(source), samples, rate, 2)
    coded = encode_file(source, packed, codec=small)
    decoded = decode_file(packed, out, codec=small)
    info = soundfile.info(out)
    assert (info.frames, info.samplerate, info.channels) == (samples, rate, 2)
    assert (coded.samples, decoded.samples, decoded.truncated) == (samples, samples, False)
    assert Path(packed).stat().st_size == coded.total_bytes


def test_the_file_is_the_library(small: audiodec.Codec, tmp_path: Path) -> None:
    """Longer than several blocks: a file decodes to what encode and decode give in memory."""
    rate = small.sample_rate
    write_audio(tmp_path / "in.wav", 7 * rate + 5, rate)
    encode_file(str(tmp_path / "in.wav"), str(tmp_path / "x.adc"), codec=small, bitrate=1.6)
    decode_file(str(tmp_path / "x.adc"), str(tmp_path / "out.wav"), codec=small)
    audio = soundfile.read(tmp_path / "in.wav", dtype="float32")[0]
    expected = small.decode(small.encode(audio, 1.6, BEAM_WIDTH), len(audio))
    decoded = soundfile.read(tmp_path / "out.wav", dtype="float32")[0]
    np.testing.assert_allclose(decoded, expected, atol=1e-4)  # 16-bit WAV


def test_mono_mixes_the_channels(small: audiodec.Codec, tmp_path: Path) -> None:
    write_audio(tmp_path / "in.wav", 5000, 16000, 3)
    coded = encode_file(str(tmp_path / "in.wav"), str(tmp_path / "x.adc"), codec=small, mono=True)
    assert coded.channels == 1


def test_rate_is_exact_and_overhead_below_two_percent(
    codec: audiodec.Codec, speech: np.ndarray, tmp_path: Path
) -> None:
    ten_seconds = np.tile(speech, 4)[:480_000]
    soundfile.write(tmp_path / "in.wav", ten_seconds, 48000)
    coded = encode_file(str(tmp_path / "in.wav"), str(tmp_path / "x.adc"), codec=codec, bitrate=12)
    assert coded.payload_bytes * 8 / coded.seconds == 12_000
    assert (tmp_path / "x.adc").stat().st_size < 1.02 * coded.payload_bytes


def test_damage_is_concealed_or_refused(
    codec: audiodec.Codec, speech: np.ndarray, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "in.wav", np.tile(speech, 3), 48000)
    packed = tmp_path / "x.adc"
    encode_file(str(tmp_path / "in.wav"), str(packed), codec=codec)
    whole = packed.read_bytes()
    decode_file(str(packed), str(tmp_path / "whole.wav"), codec=codec)
    out = tmp_path / "out.wav"

    damaged = bytearray(whole)
    damaged[64 + 100] ^= 4  # in the first block
    packed.write_bytes(damaged)
    result = decode_file(str(packed), str(out), codec=codec)
    assert (result.damaged, result.samples) == (1, 3 * len(speech))
    first, second = (soundfile.read(tmp_path / n)[0] for n in ("whole.wav", "out.wav"))
    after = 256 * 320 + 7200  # the block, and 150 ms in which the decoder forgets
    np.testing.assert_allclose(first[after:], second[after:], atol=1e-4)
    out.unlink()
    with pytest.raises(FormatError, match="is damaged: 1 of 5 blocks are lost"):
        decode_file(str(packed), str(out), codec=codec, strict=True)

    packed.write_bytes(whole[: 64 + 2566 + 1000])  # one block and a bit
    result = decode_file(str(packed), str(out), codec=codec)
    assert (result.truncated, result.samples) == (True, 256 * 320)
    out.unlink()
    with pytest.raises(FormatError, match="truncated"):
        decode_file(str(packed), str(out), codec=codec, strict=True)
    assert not list(tmp_path.glob(".*")), "no half-written output stays"
    assert not out.exists()


def test_a_trailer_cannot_lie_about_the_length(small: audiodec.Codec, tmp_path: Path) -> None:
    import struct
    import zlib

    write_audio(tmp_path / "in.wav", 5000, 16000)
    encode_file(str(tmp_path / "in.wav"), str(tmp_path / "x.adc"), codec=small)
    data = (tmp_path / "x.adc").read_bytes()
    for claim in (0, 2**62):
        body = struct.pack("<HQ", 0, claim)
        (tmp_path / "x.adc").write_bytes(data[:-14] + struct.pack("<I", zlib.crc32(body)) + body)
        with pytest.raises(FormatError, match="claims"):
            decode_file(
                str(tmp_path / "x.adc"), str(tmp_path / "out.wav"), codec=small, strict=True
            )
        result = decode_file(str(tmp_path / "x.adc"), str(tmp_path / "out.wav"), codec=small)
        assert "claims" in result.damage
        assert 5000 <= result.samples < 5000 + small.hop


def test_a_file_is_decoded_by_the_bundled_model_that_made_it(
    small_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to remember which model a file was made with."""
    write_audio(tmp_path / "in.wav", 20000, 16000)
    encode_file(tmp_path / "in.wav", tmp_path / "x.adc", codec=small_folder)
    (tmp_path / "bundled").mkdir()
    for name, folder in {"a": find_model(None), "b": small_folder}.items():
        (tmp_path / "bundled" / name).symlink_to(folder)
    monkeypatch.setattr("audiodec.pretrained.BUNDLED", tmp_path / "bundled")
    assert decode_file(tmp_path / "x.adc", tmp_path / "out.wav").samples == 20000


@pytest.mark.parametrize(
    ("rate", "hop", "frames"),
    [(48000, 320, 256), (48000, 960, 128), (48000, 300, 256), (8000, 65535, 1), (48000, 1, 4096)],
)
def test_a_block_lasts_about_two_seconds(rate: int, hop: int, frames: int) -> None:
    assert frames_per_block(rate, hop) == frames


def test_the_wrong_model_is_a_clear_error(
    small: audiodec.Codec, codec: audiodec.Codec, tmp_path: Path
) -> None:
    write_audio(tmp_path / "in.wav", 5000, 16000)
    encode_file(str(tmp_path / "in.wav"), str(tmp_path / "x.adc"), codec=small)
    with pytest.raises(ModelError, match="made with model small"):
        decode_file(str(tmp_path / "x.adc"), str(tmp_path / "out.wav"), codec=codec)


def test_unusable_input(small: audiodec.Codec, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is no audio")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "slow.wav", np.zeros(5000), 1)  # resampled, it would be gigabytes
    for name, reason in (
        ("text.wav", "not audio"), ("empty.wav", "no audio"), ("none.wav", "cannot be read"),
        ("slow.wav", "sample rate of 1 Hz"),
    ):  # fmt: skip
        with pytest.raises(AudioError, match=reason):
            encode_file(str(tmp_path / name), str(tmp_path / "x.adc"), codec=small)
    assert not (tmp_path / "x.adc").exists()
    write_audio(tmp_path / "in.wav", 500, 16000)
    with pytest.raises(AudioError, match="cannot be written"):
        encode_file(str(tmp_path / "in.wav"), str(tmp_path / "no" / "x.adc"), codec=small)
    encode_file(str(tmp_path / "in.wav"), str(tmp_path / "x.adc"), codec=small)
    with pytest.raises(AudioError, match=r"try \.wav"):
        decode_file(str(tmp_path / "x.adc"), str(tmp_path / "out.xyz"), codec=small)


def test_folders_and_devices_as_targets(small: audiodec.Codec, tmp_path: Path) -> None:
    write_audio(tmp_path / "in.wav", 5000, 16000)
    with pytest.raises(AudioError, match="is a folder"):
        encode_file(str(tmp_path / "in.wav"), str(tmp_path), codec=small)
    encode_file(str(tmp_path / "in.wav"), "/dev/null", codec=small)
    assert Path("/dev/null").is_char_device()
    (tmp_path / "link.adc").symlink_to(tmp_path / "real.adc")
    encode_file(str(tmp_path / "in.wav"), str(tmp_path / "link.adc"), codec=small)
    assert (tmp_path / "link.adc").is_symlink()
    assert (tmp_path / "real.adc").is_file()


def test_pipes(small: audiodec.Codec, small_folder: Path, tmp_path: Path) -> None:
    write_audio(tmp_path / "in.wav", 50_000, 22050)
    command = [sys.executable, "-m", "audiodec"]
    model = ["--model", str(small_folder)]
    packed = subprocess.run(
        [*command, "encode", "-", "-", *model],
        input=(tmp_path / "in.wav").read_bytes(), capture_output=True, check=True,
    ).stdout  # fmt: skip
    wav = subprocess.run(
        [*command, "decode", "-", "-", *model], input=packed, capture_output=True, check=True
    ).stdout
    decoded, rate = soundfile.read(io.BytesIO(wav))
    assert (len(decoded), rate) == (50_000, 22050)


def test_interruption_leaves_nothing_and_spares_the_old_file(
    small: audiodec.Codec, tmp_path: Path
) -> None:
    write_audio(tmp_path / "in.wav", 200_000, 16000)
    (tmp_path / "x.adc").write_bytes(b"old")

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_file(
            str(tmp_path / "in.wav"), str(tmp_path / "x.adc"), codec=small, progress=interrupt
        )
    assert (tmp_path / "x.adc").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2


def test_mutated_files_decode_or_are_refused(small: audiodec.Codec, tmp_path: Path) -> None:
    """Through the whole decoder: no crash, no hang, output bounded by the input."""
    write_audio(tmp_path / "in.wav", 50_000, 16000)
    encode_file(str(tmp_path / "in.wav"), str(tmp_path / "x.adc"), codec=small)
    whole = (tmp_path / "x.adc").read_bytes()
    source, refused = random.Random(0), 0
    for _ in range(150):
        (tmp_path / "m.adc").write_bytes(mutate(whole, source))
        try:
            decoded = decode_file(str(tmp_path / "m.adc"), str(tmp_path / "out.wav"), codec=small)
        except audiodec.AudioDecError:
            refused += 1
        else:
            assert decoded.samples < 200_000
    assert 0 < refused < 150


@pytest.mark.slow
def test_two_hours_in_bounded_memory(tmp_path: Path) -> None:
    """The default model, two hours of 48 kHz: below 400 MB resident, exact length."""
    hour = 3600 * 48000
    with soundfile.SoundFile(tmp_path / "long.flac", "w", 48000, 1) as file:
        noise = np.random.default_rng(0).normal(0, 0.05, 48000 * 60).astype(np.float32)
        for _ in range(120):
            file.write(noise)
    code = (
        "import re, sys\n"
        "from audiodec.cli.main import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        # Not getrusage: its peak is inherited from the process that started this one.
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    encode = ("encode", "long.flac", "long.adc", "--beam-width", "1")
    for arguments in (encode, ("decode", "long.adc", "out.flac")):
        run = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path, capture_output=True, check=True, text=True,
        )  # fmt: skip
        kilobytes = int(run.stdout.split()[-1])
        assert kilobytes < 400_000, f"{arguments[0]} took {kilobytes} KB"
    assert soundfile.info(tmp_path / "out.flac").frames == 2 * hour
