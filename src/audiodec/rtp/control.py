"""Bitrate and redundancy in mid-call, from what the far end reports."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from audiodec.rtp.payload import NIBBLE, Redundancy

QUICK_REPORTS, SLOW_REPORTS = 4, 10  # reports averaged
BURST_WEIGHT = 0.7  # what the mean of the quick ones counts: bursts scatter it
CALM_REPORTS = 10  # reports in a row that must ask for less before less is sent
GUARD_REPORTS = 30  # the same before the guard goes
MAX_QUEUE_S = 0.15  # seconds of round trip beyond the shortest that mean a full link
REACH_PER_BURST = 1.5  # distance of a copy over the mean length of a burst
MAX_REACH_S = 0.1  # seconds between a packet and its first copy, at most
USUAL_BURST_PACKETS = 3.0  # believed until there are reports
FORGET_PER_REPORT = 0.95  # what earlier bursts count with each report
BUDGET = 2.0  # all bits over those of the highest bitrate, at most


@dataclass(frozen=True)
class Setting:
    """What a sender may change between packets.

    Attributes:
        bitrate: kbps, one of the model's.
        redundancy: the copies that ride along.
    """

    bitrate: float
    redundancy: Redundancy = field(default_factory=Redundancy)


@dataclass(frozen=True)
class Rung:
    """Redundancy from some share of losses on.

    Attributes:
        loss: that share.
        coarseness: codebooks of a copy over those of the packet.
        copies: of each packet.
    """

    loss: float
    coarseness: float
    copies: int


LADDER = (
    Rung(0.0, 0.0, 0),
    Rung(0.0, 1 / 8, 1),  # the guard: every call begins here, so the first loss does not hurt
    Rung(0.004, 2 / 8, 1),
    Rung(0.03, 3 / 8, 1),
    Rung(0.06, 4 / 8, 1),
    Rung(0.14, 3 / 8, 2),
)
GUARD = 1


class Controller:
    """Losses alone: more redundancy. Losses or queues because the link is full: fewer bits.

    It goes up at the first bad report and comes down one step at a time after calm ones, so that
    it does not swing. A copy keeps a distance from its original that most bursts do not reach, but
    no more than `MAX_REACH_S`, because the distance is delay.

    Args:
        bitrates: kbps that the model offers, ascending.
        bitrate: the highest to use; copies add to it, up to `BUDGET` times as much in all.
        period: seconds of a packet.
    """

    def __init__(self, bitrates: Sequence[float], bitrate: float, period: float) -> None:
        self._rates = [rate for rate in bitrates if rate <= bitrate]
        self._farthest = min(NIBBLE // 2, max(1, round(MAX_REACH_S / period)))
        self._losses: deque[float] = deque(maxlen=SLOW_REPORTS)
        self._lost, self._bursts = USUAL_BURST_PACKETS, 1.0  # of late; their ratio is the length
        self._shortest: float | None = None
        self._rung, self._step, self._calm = GUARD, len(self._rates) - 1, 0

    @property
    def setting(self) -> Setting:
        """What to send now."""
        rung, step = LADDER[self._rung], self._step
        if not rung.copies:
            return Setting(self._rates[step])
        codebooks = min(NIBBLE, max(1, math.ceil(rung.coarseness * (step + 1))))
        while step > 0 and step + 1 + rung.copies * codebooks > BUDGET * len(self._rates):
            step -= 1
        wanted = math.ceil(REACH_PER_BURST * self._lost / self._bursts)
        distance = min(self._farthest, max(wanted, 2))
        distances = tuple(distance * n for n in range(1, rung.copies + 1))
        return Setting(self._rates[step], Redundancy(distances, codebooks))

    def update(self, loss: float, round_trip: float | None, burst: float | None = None) -> Setting:
        """Take a report that has come.

        Args:
            loss: share lost since the last report, 0 to 1.
            round_trip: seconds, if known.
            burst: mean number of packets lost in a row, if known; 0: none was lost.
        """
        self._losses.append(loss)
        if burst:
            self._lost = FORGET_PER_REPORT * self._lost + burst
            self._bursts = FORGET_PER_REPORT * self._bursts + 1
        if round_trip is not None:
            self._shortest = min(round_trip, self._shortest or round_trip)
        queue = round_trip is not None and round_trip > (self._shortest or 0.0) + MAX_QUEUE_S
        wanted = self._wanted()
        if queue:
            # More bits would only lengthen the queue, whatever is lost.
            self._rung, self._step, self._calm = 0, max(0, self._step - 2), 0
        elif wanted > self._rung and self._step == len(self._rates) - 1:
            self._rung, self._calm = wanted, 0
        elif wanted < self._rung or self._step < len(self._rates) - 1:
            self._come_down()
        else:
            self._calm = 0
        return self.setting

    def _wanted(self) -> int:
        """Find the rung that the losses of late ask for."""
        recent = list(self._losses)
        quick = BURST_WEIGHT * sum(recent[-QUICK_REPORTS:]) / len(recent[-QUICK_REPORTS:])
        loss = max(quick, sum(recent) / len(recent))
        if not loss:
            return 0
        return max(n for n, rung in enumerate(LADDER) if loss >= rung.loss)

    def _come_down(self) -> None:
        """Take a calm report: enough of them restore the bitrate, then spare copies."""
        self._calm += 1
        if self._step < len(self._rates) - 1:
            if self._calm >= CALM_REPORTS:
                self._step, self._calm = self._step + 1, 0
        elif self._calm >= (GUARD_REPORTS if self._rung == GUARD else CALM_REPORTS):
            self._rung, self._calm = self._rung - 1, 0
