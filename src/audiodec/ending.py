"""How a program ends when it is told to, however that is said.

A terminal says it with Ctrl-C or by closing, a service manager and a container with SIGTERM. All
of them mean the same here: finish what is in hand, keep what is whole, and go.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

from audiodec.errors import AudioDecError

SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
    if hasattr(signal, name)  # Windows has the first two and the last
]
AGAIN_S = 0.005  # until an exception that would have been lost is tried again
INSIST_S = 0.5  # until one that was raised, and may have been lost all the same, is


class Told(SystemExit):
    """A signal tells the program to end: `with` and `finally` tidy up on the way out.

    The exit status is 128 + the signal's number, as shells write it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class OrderlyEnd:
    """A context in which a signal that ends programs leads to an orderly end.

    Without an argument it raises `Told` in the main thread, wherever that is. With one, the signal
    calls it instead, and the code inside ends by itself: loops and event loops are not cut in two.
    `loop.call_soon_threadsafe` and `threading.Event.set` may be called by it on every system, while
    `loop.add_signal_handler` is missing on Windows.

    The first signal counts. Those that follow (`timeout` and systemd send several) change nothing,
    so that they cannot spoil the end; only Ctrl-\\ then ends at once. SIGHUP stays ignored where it
    is, below `nohup`. SIGINT does not: a script's background programs ignore it, and are sent it.

    Args:
        told: called by the first signal, between two bytecodes of the main thread.
        hangup: called in its place by each SIGHUP of a program without a terminal, whose closing it
            cannot be: service managers ask so for what the files hold now.

    Raises:
        ValueError: entered in another thread than the main one.
    """

    def __init__(
        self,
        told: Callable[[], object] | None = None,
        hangup: Callable[[], object] | None = None,
    ) -> None:
        self._told, self._came = told, False
        self._hangup = None if _has_terminal() else hangup
        self._before: dict[int, signal._HANDLER] = {}
        self._inside, self._lock = False, threading.Lock()

    def __enter__(self) -> None:
        self._inside = True
        for number in SIGNALS:
            before = signal.getsignal(number)
            nohup = number == getattr(signal, "SIGHUP", None) and before == signal.SIG_IGN
            if before is not None and not nohup:  # None: not Python's
                self._before[number] = before
                signal.signal(number, self._handle)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside = False
        for number, before in self._before.items():
            signal.signal(number, before)
            outer = getattr(before, "__self__", None)
            if isinstance(outer, OrderlyEnd):
                outer._came |= self._came
        told = _told_in(error)
        if (
            told is not None
            and told is not error
            and not isinstance(error, AudioDecError | OSError)
        ):
            # A library's modules written in C make an ImportError of it while they are loaded.
            raise told from None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._hangup is not None and number == getattr(signal, "SIGHUP", None):
            self._hangup()
        elif self._came or _told_in(sys.exc_info()[1]):  # it is on its way out
            if number == getattr(signal, "SIGQUIT", None):
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
        elif self._told is not None:
            self._came = True
            self._told()
        elif _called_back(frame):
            self._send_later(AGAIN_S, number)
        else:
            # Whatever library swallows it: it comes again until this context has ended.
            self._send_later(INSIST_S, number)
            raise Told(number)

    def _send_later(self, seconds: float, number: int) -> None:
        again = threading.Timer(seconds, self._send_again, (number,))
        again.daemon = True
        again.start()

    def _send_again(self, number: int) -> None:
        with self._lock:
            if self._inside:
                _send(number)


def _has_terminal() -> bool:
    """Whether a terminal controls this program, wherever its input and output go."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY))
    except OSError:
        return False
    return True


def _told_in(error: BaseException | None) -> Told | None:
    """Find the `Told` that an exception is, or came of."""
    while error is not None and not isinstance(error, Told):
        error = error.__cause__ or error.__context__
    return error


def _send(number: int) -> None:
    """Send the signal once more, to the main thread."""
    if sys.platform == "win32":
        _thread.interrupt_main(number)
    else:
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, number)  # also ends a wait for the system


def _called_back(frame: FrameType | None) -> bool:
    """Whether libsndfile waits for a read or a write of ours: what is raised there is lost."""
    while frame is not None:
        if frame.f_code.co_name.startswith("vio_") and frame.f_globals["__name__"] == "soundfile":
            return True
        frame = frame.f_back
    return False
