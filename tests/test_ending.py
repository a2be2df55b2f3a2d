"""A program told to end by a signal tidies up first, whichever it is and however often it comes."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

ENDING = [
    signal.SIGINT,
    *(getattr(signal, n) for n in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, n)),
]
START = "from audiodec.ending import OrderlyEnd, Told\nimport signal, sys, time\n"


def run(code: str, *, ignoring: tuple[signal.Signals, ...] = ()) -> tuple[int, str, str]:
    """Status, output and errors of a program; `ignoring` as a parent would leave it."""
    ignored = "".join(f"signal.signal({int(n)}, signal.SIG_IGN)\n" for n in ignoring)
    program = "import signal\n" + ignored + START + code
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=600
    )
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_tidies_up_and_tells_the_shell(number: signal.Signals) -> None:
    code = f"""
with OrderlyEnd():
    try:
        signal.raise_signal({int(number)})
    finally:
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(again)
        print("tidy")
"""
    assert run(code) == (128 + number, "tidy\n", "")


@pytest.mark.parametrize("number", ENDING)
def test_what_is_told_ends_by_itself(number: signal.Signals) -> None:
    code = f"""
told = []
with OrderlyEnd():
    with OrderlyEnd(lambda: told.append(1)):
        signal.raise_signal({int(number)})
        signal.raise_signal({int(signal.SIGTERM)})
        print(len(told))
    signal.raise_signal({int(signal.SIGTERM)})  # `timeout` sends it twice
    print("written")
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
"""
    assert run(code) == (0, "1\nwritten\n", "")


def test_a_background_program_of_a_script_can_be_ended() -> None:
    code = "with OrderlyEnd():\n    signal.raise_signal(signal.SIGINT)\n"
    assert run(code, ignoring=(signal.SIGINT,)) == (130, "", "")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="only Unix hangs up")
def test_nohup_is_respected() -> None:
    code = "with OrderlyEnd():\n    signal.raise_signal(signal.SIGHUP)\n    print('goes on')\n"
    assert run(code, ignoring=(signal.SIGHUP,)) == (0, "goes on\n", "")


@pytest.mark.skipif(not hasattr(signal, "SIGQUIT"), reason="only Unix quits")
def test_ctrl_backslash_ends_an_end_that_takes_too_long() -> None:
    code = """
with OrderlyEnd():
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.raise_signal(signal.SIGQUIT)
        time.sleep(60)
"""
    assert run(code) == (-signal.SIGQUIT, "", "")


def test_what_others_make_of_it_ends_as_well() -> None:
    """A module written in C that is being loaded makes an ImportError of it."""
    code = """
with OrderlyEnd():
    try:
        signal.raise_signal(signal.SIGTERM)
    except SystemExit as error:
        raise ImportError("initialization failed") from error
"""
    assert run(code) == (128 + signal.SIGTERM, "", "")


def test_an_exception_is_not_lost_inside_of_libsndfile() -> None:
    """It calls back for every read and write, and what is raised there goes nowhere."""
    code = """
import io, soundfile

class File(io.BytesIO):
    sent = False

    def readinto(self, data):
        if not self.sent:
            self.sent = True
            signal.raise_signal(signal.SIGTERM)
        return super().readinto(data)

file = File()
soundfile.write(file, [0.0] * 1000, 8000, format="WAV")
file.seek(0)
with OrderlyEnd():
    soundfile.read(file)
    time.sleep(60)
"""
    assert run(code) == (128 + signal.SIGTERM, "", "")


@pytest.mark.parametrize("missing", [("SIGHUP", "SIGQUIT"), ("SIGHUP", "SIGQUIT", "SIGTERM")])
def test_systems_with_fewer_signals(missing: tuple[str, ...]) -> None:
    without = "".join(f"del signal.{name}\n" for name in missing)
    code = "with OrderlyEnd():\n    signal.raise_signal(signal.SIGINT)\n"
    result = subprocess.run(
        [sys.executable, "-c", f"import signal\n{without}{START}{code}"],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (130, "")
