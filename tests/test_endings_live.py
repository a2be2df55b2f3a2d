"""Live commands end in order, whatever ends them: what was recorded is kept, the peer is told."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiodec.audio_files.recording import record
from audiodec.errors import AudioError
from tests.test_call_processes import free_ports

RATE = 48_000
WAIT = 600  # seconds after which a test gives up; nothing asserts how long anything takes
ENDING = [signal.SIGINT, *(getattr(signal, n) for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n))]
unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals and limits")


def as_background() -> None:
    """What a shell without job control does to programs that a script puts in the background."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


def limited() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))


def start(*arguments: object, prepare: Callable[[], None] | None = None, **options: object):  # type: ignore[no-untyped-def]
    command = [sys.executable, "-m", "audiodec", *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, preexec_fn=prepare, **streams | options)  # type: ignore[call-overload]


@pytest.fixture
def minute(tmp_path: Path) -> Path:
    """A minute of noise."""
    path = tmp_path / "minute.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, 60 * 16_000)
    soundfile.write(path, noise, 16_000)
    return path


@pytest.fixture
def pair(
    tmp_path: Path, minute: Path
) -> Iterator[Callable[..., tuple[subprocess.Popen[str], subprocess.Popen[str]]]]:
    """Two ends that talk for a minute, the first with what is asked for; both are connected."""
    ends: list[subprocess.Popen[str]] = []

    def talk(*more: object, **first: object) -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
        own, other = (f"127.0.0.1:{port}" for port in free_ports(2))
        common = ("--input", minute, "--json", "--wait", WAIT)
        one = start("call", "--bind", own, "--to", other, *common, *more, **first)
        two = start("call", "--bind", other, "--to", own, *common, "--output", tmp_path / "far.wav")
        ends.extend((one, two))
        for end in ends:
            if end.stderr is not None:
                assert end.stderr.readline() == "connected, in the open\n"
        return one, two

    yield talk
    for end in ends:
        end.kill()
        end.communicate()


def heard(path: Path) -> float:
    """Seconds of a whole recording, which hides nothing of itself."""
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []
    return soundfile.info(path).duration


@unix
@pytest.mark.parametrize("prepare", [None, as_background])
@pytest.mark.parametrize("number", ENDING)
def test_a_call_told_to_end_keeps_its_recording_and_tells_its_peer(
    number: signal.Signals, prepare: Callable[[], None] | None, tmp_path: Path,
    pair: Callable[..., tuple[subprocess.Popen[str], subprocess.Popen[str]]],
) -> None:  # fmt: skip
    one, two = pair("--output", tmp_path / "near.wav", prepare=prepare)
    time.sleep(1)
    one.send_signal(number)
    one.send_signal(number)  # as `timeout` does
    results = [end.communicate(timeout=WAIT) for end in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), results
    assert results[0][1] == "hung up\n"
    assert results[1][1] == ""  # not: the other end is gone
    near, far = (json.loads(out) for out, _ in results)
    assert far["lost_on_the_way_there"] == far["sent"] - near["received"]
    assert near["sent"] == far["received"] + far["lost"]
    for name in ("near.wav", "far.wav"):
        assert 0 < heard(tmp_path / name) < 50


@unix
@pytest.mark.parametrize("name", ["near.wav", "near.flac"])
def test_a_full_disk_ends_a_call_in_order(
    name: str, tmp_path: Path,
    pair: Callable[..., tuple[subprocess.Popen[str], subprocess.Popen[str]]],
) -> None:  # fmt: skip
    one, two = pair("--output", tmp_path / name, prepare=limited)
    results = [end.communicate(timeout=WAIT) for end in (one, two)]
    assert (one.returncode, two.returncode) == (1, 0), results
    (line,) = results[0][1].splitlines()
    assert line.startswith(f"audiodec: error: {tmp_path / name} cannot be written any more, ")
    assert "File too large" in line
    assert 0 < heard(tmp_path / name) < 50
    assert heard(tmp_path / "far.wav") > 0


@unix
def test_a_terminal_that_is_gone_loses_no_recording(
    tmp_path: Path, pair: Callable[..., tuple[subprocess.Popen[str], subprocess.Popen[str]]]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    one, two = pair("--output", tmp_path / "near.wav", stderr=writing)
    os.close(writing)
    time.sleep(1)
    one.send_signal(signal.SIGTERM)
    one.communicate(timeout=WAIT)
    two.communicate(timeout=WAIT)
    assert two.returncode == 0
    assert heard(tmp_path / "near.wav") > 0
    assert heard(tmp_path / "far.wav") > 0


@unix
@pytest.mark.parametrize("prepare", [None, as_background])
@pytest.mark.parametrize("number", ENDING)
def test_a_stream_told_to_end_keeps_what_sounded(
    number: signal.Signals, prepare: Callable[[], None] | None, tmp_path: Path, minute: Path
) -> None:
    process = start(
        "stream", "--input", minute, "--output", "out.wav", "--dump-input", "heard.flac", "--json",
        cwd=tmp_path, prepare=prepare,
    )  # fmt: skip
    while process.poll() is None and not list(tmp_path.glob(".*out.wav*")) + list(
        tmp_path.glob(".audiodec-*")
    ):
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(number)
    out, errors = process.communicate(timeout=WAIT)
    assert process.returncode == 0, errors
    assert json.loads(out)["seconds"] < 50
    assert 0 < heard(tmp_path / "out.wav") < 50
    assert 0 < heard(tmp_path / "heard.flac") < 50


@unix
def test_a_full_disk_ends_a_stream_in_order(tmp_path: Path, minute: Path) -> None:
    process = start(
        "stream", "--input", minute, "--output", "out.wav", cwd=tmp_path, prepare=limited
    )
    _, errors = process.communicate(timeout=WAIT)
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("audiodec: error: out.wav cannot be written any more")
    assert "Traceback" not in errors
    assert heard(tmp_path / "out.wav") == pytest.approx(40_000 / 2 / RATE, abs=0.1)


def test_a_recording_is_kept_where_something_was_recorded(tmp_path: Path) -> None:
    def fail(name: str, samples: int) -> None:
        with record(str(tmp_path / name), RATE) as recording:
            recording.write(np.zeros(samples, np.float32))
            raise ZeroDivisionError

    for name, samples in (("kept.wav", 1000), ("none.wav", 0)):
        with pytest.raises(ZeroDivisionError):
            fail(name, samples)
    assert soundfile.info(tmp_path / "kept.wav").frames == 1000
    assert [p.name for p in tmp_path.iterdir()] == ["kept.wav"]


@unix
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.aiff", "a.w64", "a.caf"])
@pytest.mark.parametrize("bytes_", [10, 60_000])
def test_a_recording_tells_how_much_fitted(name: str, bytes_: int, tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).normal(0, 0.1, 500_000).astype(np.float32)

    def fill() -> None:
        with record(str(tmp_path / name), RATE) as recording:
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, before[1]))
            try:
                for piece in noise.reshape(-1, 1000):
                    recording.write(piece)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)

    with pytest.raises(AudioError, match=f"{name} cannot be written"):
        fill()
    if bytes_ == 60_000:
        with soundfile.SoundFile(tmp_path / name) as file:
            assert len(file.read(25_000)) == 25_000  # in FLAC the last block did not fit
            assert file.samplerate == RATE
    else:
        assert list(tmp_path.iterdir()) == []


MOMENTS = int(os.environ.get("AUDIODEC_FUZZ", "12"))


@unix
@pytest.mark.slow
def test_any_signal_at_any_moment(tmp_path: Path, minute: Path) -> None:
    """Also before there is anything to tidy up, and several at once."""
    source = random.Random(7)
    for moment in range(MOMENTS):
        folder = tmp_path / str(moment)
        folder.mkdir()
        if moment % 3:
            own, other = (f"127.0.0.1:{port}" for port in free_ports(2))
            common = ("call", "--input", minute, "--json", "--wait", 20)
            processes = [
                start(*common, "--bind", own, "--to", other, "--output", folder / "near.wav"),
                start(*common, "--bind", other, "--to", own, "--output", folder / "far.flac"),
            ]
        else:
            files = ("--output", folder / "out.wav", "--dump-input", folder / "heard.wav")
            processes = [start("stream", "--input", minute, *files)]
        time.sleep(source.choice((0.2, 1, 3, 8)) * source.random())
        numbers = source.choices(ENDING, k=source.choice((1, 1, 3)))
        for number in numbers:
            processes[0].send_signal(number)
        results = [process.communicate(timeout=WAIT) for process in processes]
        # By the signal itself: while Python is still starting.
        allowed = {0, *(128 + n for n in numbers), *(-n for n in numbers)}
        assert processes[0].returncode in allowed, results
        assert all("Traceback" not in errors for _, errors in results) or min(allowed) < 0
        for path in folder.iterdir():
            assert not path.name.startswith("."), (moment, numbers)
            assert soundfile.info(path).frames > 0
