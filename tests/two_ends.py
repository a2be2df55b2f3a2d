"""Two ends of a call in simulated time, and a network between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from audiodec.call.endpoint import Endpoint
from audiodec.call.handshake import FAMILY
from audiodec.call.network import Link, every, run
from audiodec.rtp.packet import is_rtcp
from audiodec.rtp.sender import Sender
from audiodec.sound.simulated import SimulatedClock
from tests.call_tools import PERIOD, SIZE, fake_codec

SECRET = bytes(range(32))
A, B = 0, 1


def endpoint(secret: bytes | None = None, dtx: bool = False, first: int | None = None) -> Endpoint:
    """One end; `first` is the sequence number of its first packet, else it chooses."""
    if secret is not None:
        pytest.importorskip("pylibsrtp")
    if first is None:
        return Endpoint(fake_codec(), secret, dtx=dtx)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiodec.call.endpoint.Sender", partial(Sender, sequence=first))
        return Endpoint(fake_codec(), secret, dtx=dtx)


def kind(datagram: bytes) -> str:
    if datagram.startswith(FAMILY):
        return "hello"
    return "report" if is_rtcp(datagram) else "speech"


class Call:
    """Two ends as `transport.talk` drives them, in simulated time.

    Args:
        packets: that each end has to say; None: it never ends.
        starts: seconds at which each end begins to call.
        network: of both directions, for `Link`.

    Attributes:
        filters: may lose a datagram of each end: given its kind and a number that counts the kind.
        heard: samples that each end has recorded.
        done: when each end finished.
    """

    def __init__(
        self, ends: tuple[Endpoint, Endpoint], packets: tuple[int | None, int | None],
        starts: tuple[float, float] = (0.0, 0.003), **network: object,
    ) -> None:  # fmt: skip
        self.clock, self.ends, self.left_to_say = SimulatedClock(), ends, list(packets)
        self.filters: list[Callable[[str, int], bool]] = [lambda kind, n: False] * 2
        self.done: list[float | None] = [None, None]
        self.heard = [0, 0]
        self.connected_at: list[float | None] = [None, None]
        self.early = [0, 0]  # packets of speech that came before an end could hear them
        self.sent: list[bytes] = []
        self._starts = starts
        self._sent = [dict.fromkeys(("hello", "report", "speech"), 0) for _ in ends]
        self._links = [
            Link(self.clock, self._arrive(1 - n), seed=n, **network)  # type: ignore[arg-type]
            for n in range(2)
        ]
        for n, start in enumerate(starts):
            every(self.clock, PERIOD, lambda n=n: self._step(n), start)

    def _arrive(self, n: int) -> Callable[[bytes, float], None]:
        def arrive(datagram: bytes, now: float) -> None:
            if self.done[n] is not None or now < self._starts[n]:
                return  # nobody listens at this address
            if kind(datagram) == "speech" and self.ends[n]._receiver is None:
                self.early[n] += 1
            self.ends[n].receive(datagram, now)

        return arrive

    def send(self, n: int, datagrams: list[bytes]) -> None:
        before = dict(self._sent[n])
        for datagram in datagrams:
            self.sent.append(datagram)
            what = kind(datagram)
            # A hello is said in all its forms at once: they count as one.
            count = before[what] if what == "hello" else self._sent[n][what]
            self._sent[n][what] = count + 1
            if not self.filters[n](what, count):
                self._links[n].send(datagram)

    def _step(self, n: int) -> None:
        end, now, left = self.ends[n], self.clock.now, self.left_to_say[n]
        if self.done[n] is not None:
            return
        if not end.connected:
            self.send(n, end.poll(now))
            return
        if self.connected_at[n] is None:
            self.connected_at[n] = now
        speaking = left != 0 and not end.hung_up
        if speaking:
            self.send(n, end.write(np.zeros(SIZE, np.float32)))
            self.left_to_say[n] = None if left is None else left - 1
        else:
            end.end()
        self.send(n, end.poll(now))
        self.heard[n] += len(end.pull(now))
        if end.gone or (end.left and end.drained and (left is None or not speaking)):
            self.hang_up(n)

    def hang_up(self, n: int) -> None:
        for _ in range(3):
            self.send(n, self.ends[n].hang_up(self.clock.now))
        self.done[n] = self.clock.now

    def run(self, until: float) -> Call:
        run(self.clock, until)
        return self

    def finish(self, limit: float = 120.0) -> list[dict[str, int]]:
        """Run until both ends have finished; their summaries."""
        while None in self.done and self.clock.now < limit:
            run(self.clock, self.clock.now + 1)
        assert None not in self.done, "an end never finishes"
        return [end.summary(self.clock.now) for end in self.ends]


def check_counts(call: Call, summaries: list[dict[str, int]]) -> None:
    """What one end sent, the other received or misses."""
    for n, (own, other) in enumerate(itertools.permutations(summaries)):
        assert own["received"] + own["lost"] <= other["sent"]
        if call.ends[n].left and not call.ends[n].gone:  # it knows the last count
            assert own["received"] + own["lost"] == other["sent"]
        if call.ends[1 - n].hung_up:  # so does the other
            assert other["lost_on_the_way_there"] == other["sent"] - own["received"]
