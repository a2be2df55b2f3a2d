"""How coding ends: at signals, kills and full disks at any moment, nothing half stands under a
name and nothing hidden is left."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiodec
from audiodec.adc import decode_file, encode_file
from audiodec.errors import AudioError
from tests.ending_tools import (
    command,
    hidden,
    is_one_line,
    needs_full,
    needs_posix,
    run,
)


@needs_full
def test_standard_output_on_a_full_disk(adc: Path, small_folder: Path) -> None:
    for arguments in (("decode", adc, "-", "--model", small_folder), ("info", adc, "--json")):
        with open("/dev/full", "wb") as full:
            result = subprocess.run(
                command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert result.returncode == 1
        assert is_one_line(result.stderr), result.stderr


@needs_posix
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_signal_leaves_nothing(number: str, wav: Path, small_folder: Path) -> None:
    """Sent while the output is being written."""
    long = wav.with_name("long.wav")
    soundfile.write(long, np.random.default_rng(0).normal(0, 0.1, 16000 * 3600), 16000)
    target = wav.with_name("out.adc")
    target.write_bytes(b"old")
    process = subprocess.Popen(
        command("encode", long, target, "--beam-width", 64, "--model", small_folder),
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and not hidden(wav.parent):
        time.sleep(0.01)
    process.send_signal(getattr(signal, number))
    _, said = process.communicate()
    assert process.returncode == 128 + getattr(signal, number)
    assert "Traceback" not in said
    assert target.read_bytes() == b"old"
    assert not hidden(wav.parent)


# Kills at random moments


def _jobs(folder: Path, model: Path) -> list[tuple[tuple[object, ...], Callable[[], None]]]:
    """Long-running commands, and what must hold of what lies under their name whenever they end."""
    corpus = folder / "corpus"
    corpus.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 16000 * 20)
    for n in range(12):
        soundfile.write(corpus / f"{n}.wav", noise[n:], 16000)
    soundfile.write(folder / "long.wav", np.tile(noise, 6), 16000)
    subprocess.run(command("encode", folder / "long.wav", folder / "in.adc", "--beam-width", 1,
                           "--model", model), check=True, capture_output=True)  # fmt: skip
    out = folder / "out"

    def adc_is_whole() -> None:
        for path in out.rglob("*.adc"):
            facts = json.loads(run("info", path, "--json").stdout)
            assert facts["damage"] is None

    def sound_is_whole() -> None:
        for path in out.rglob("*.wav"):
            assert soundfile.info(path).frames == 16000 * 120

    def shards_are_whole() -> None:
        from audiodec.tokenization.reading import read_codes

        if (out / "journal.jsonl").exists() and b"\n" in (out / "journal.jsonl").read_bytes():
            list(read_codes(out, model))

    def manifest_is_whole() -> None:
        from audiodec.prepare.manifest import read_manifest

        if (out / "m.csv").exists():
            read_manifest(out / "m.csv")

    def scores_are_whole() -> None:
        import sqlite3

        if (out / "cache.sqlite").exists():
            with sqlite3.connect(out / "cache.sqlite") as database:
                database.execute("pragma integrity_check")

    options = ("--model", model)
    return [
        (("encode", folder / "long.wav", out / "x.adc", "--beam-width", 16, *options),
         adc_is_whole),
        (("encode", corpus, out, "--beam-width", 16, *options), adc_is_whole),
        (("decode", folder / "in.adc", out / "x.wav", *options), sound_is_whole),
        (("roundtrip", folder / "long.wav", out / "r.wav", *options), sound_is_whole),
        (("tokenize", corpus, out, "--shard-size", 0.01, "--format", "webdataset", *options),
         shards_are_whole),
        (("prepare", "folder", corpus, out / "m.csv"), manifest_is_whole),
        (("bench", "quality", corpus, "--out", out, "--codec", "ours", "--metric", "ESTOI",
          *options), scores_are_whole),
    ]  # fmt: skip


def kill_at_random(folder: Path, model: Path, count: int, seed: int) -> int:
    """Returns how many were ended before they were done."""
    source, ended = random.Random(seed), 0
    jobs = _jobs(folder, model)
    signals = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]
    begun = time.monotonic()
    run("--version")
    pace = time.monotonic() - begun  # how long this machine takes to start a command
    for number in range(count):
        arguments, check = jobs[number % len(jobs)]
        shutil.rmtree(folder / "out", ignore_errors=True)
        (folder / "out").mkdir()
        process = subprocess.Popen(
            command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        time.sleep(source.uniform(0.5, 6) * pace)
        sent = source.choice(signals)
        process.send_signal(sent)
        _, said = process.communicate(timeout=300)
        about = f"{arguments[0]} ended by {sent.name}: {said}"
        assert process.returncode in (0, 1, 128 + sent, -sent), about
        assert process.returncode == -sent or "Traceback" not in said, about  # -: at its very start
        ended += process.returncode not in (0, 1)
        assert not hidden(folder / "out"), about
        check()
    return ended


@pytest.mark.slow
@needs_posix
def test_kills_at_random_moments(tmp_path: Path, small_folder: Path) -> None:
    assert kill_at_random(tmp_path, small_folder, 21, seed=0)


@pytest.mark.slow
@needs_posix
def test_full_disks_at_random_moments(small: audiodec.Codec, wav: Path, tmp_path: Path) -> None:
    """A size limit at any byte: the file is whole, or it is not there and one error says so."""
    import resource

    encode_file(str(wav), str(tmp_path / "x.adc"), codec=small)
    source, before = random.Random(0), resource.getrlimit(resource.RLIMIT_FSIZE)
    refused = 0
    for _ in range(300):
        suffix = source.choice(("wav", "flac", "ogg", "aiff", "w64", "caf", "adc"))
        target = tmp_path / f"out.{suffix}"
        target.unlink(missing_ok=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (source.randrange(100_000), before[1]))
        try:
            if suffix == "adc":
                encode_file(str(wav), str(target), codec=small)
            else:
                decode_file(str(tmp_path / "x.adc"), str(target), codec=small)
        except AudioError as error:
            reason = str(error)
        else:
            reason = ""
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        if reason:
            assert "File too large" in reason
            assert not target.exists()
            refused += 1
        else:
            assert suffix == "adc" or soundfile.info(target).frames == 40_000
        assert not hidden(tmp_path)
    assert 0 < refused < 300
