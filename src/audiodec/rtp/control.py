"""Bitrate and redundancy in mid-call, from what the far end reports."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from audiodec.rtp.payload import Redundancy

CALM_REPORTS = 10  # reports in a row that must ask for less before less is sent
QUICK_REPORTS, SLOW_REPORTS = 4, 10  # reports averaged
BURST_WEIGHT = 0.7  # what the mean of the quick ones counts: bursts scatter it
FIRST_RUNG = 2  # rung of the ladder to begin with, while nothing is known
MAX_QUEUE_S = 0.15  # seconds of round trip beyond the shortest that mean a full link


@dataclass(frozen=True)
class Setting:
    """What a sender may change between packets.

    Attributes:
        bitrate: kbps, one of the model's.
        redundancy: the copies that ride along.
    """

    bitrate: float
    redundancy: Redundancy = field(default_factory=Redundancy)


class Controller:
    """Losses alone: more copies. Losses or queues because the link is full: fewer bits.

    It goes up at the first bad report and comes down one step at a time after calm ones, so that
    it does not swing.

    Args:
        bitrates: kbps that the model offers, ascending.
        bitrate: the highest to use; copies add to it.
    """

    def __init__(self, bitrates: Sequence[float], bitrate: float) -> None:
        num_codebooks = len(bitrates)
        self._rates = [rate for rate in bitrates if rate <= bitrate]
        # From this share of losses on: these copies. A burst of losses lasts some packets, so
        # copies keep a distance from their original and from each other.
        self._ladder = [
            (0.0, Redundancy()),
            (0.004, Redundancy((3,), -(-num_codebooks // 2))),
            (0.02, Redundancy((5,), num_codebooks)),
            (0.05, Redundancy((4, 8), num_codebooks)),
            (0.16, Redundancy((3, 6, 9), num_codebooks)),
        ]
        self._losses: deque[float] = deque(maxlen=SLOW_REPORTS)
        self._shortest: float | None = None
        self._rung, self._step, self._calm = FIRST_RUNG, len(self._rates) - 1, 0

    @property
    def setting(self) -> Setting:
        """What to send now."""
        return Setting(self._rates[self._step], self._ladder[self._rung][1])

    def update(self, loss: float, round_trip: float | None) -> Setting:
        """Take a report that has come.

        Args:
            loss: share lost since the last report, 0 to 1.
            round_trip: seconds, if known.
        """
        self._losses.append(loss)
        if round_trip is not None:
            self._shortest = min(round_trip, self._shortest or round_trip)
        queue = round_trip is not None and round_trip > (self._shortest or 0.0) + MAX_QUEUE_S
        recent = list(self._losses)
        quick = BURST_WEIGHT * sum(recent[-QUICK_REPORTS:]) / len(recent[-QUICK_REPORTS:])
        wanted = self._rung_for(max(quick, sum(recent) / len(recent)))
        if queue:
            # More bits would only lengthen the queue, whatever is lost.
            self._rung, self._step, self._calm = 0, max(0, self._step - 2), 0
        elif wanted > self._rung and self._step == len(self._rates) - 1:
            self._rung, self._calm = wanted, 0
        elif wanted < self._rung or self._step < len(self._rates) - 1:
            self._calm += 1
            if self._calm >= CALM_REPORTS:
                self._calm = 0
                if self._step < len(self._rates) - 1:
                    self._step += 1
                else:
                    self._rung -= 1
        else:
            self._calm = 0
        return self.setting

    def _rung_for(self, loss: float) -> int:
        return max(n for n, (least, _) in enumerate(self._ladder) if loss >= least)
