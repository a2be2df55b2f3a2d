"""Which listeners of a MUSHRA test do not count: post-screening after ITU-R BS.1534-3.

A listener is left out who rates

- the hidden reference below 90 in more than 15 % of the trials, or
- the mid-range anchor (7 kHz) above 90 in more than 15 % of the trials; trials in which more than
  25 % of all listeners do so say that the anchor was hardly impaired there, and are not counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from audiodec.evaluation.listening.answers import Rating
from audiodec.evaluation.listening.definition import MID_ANCHOR, REFERENCE

GOOD_SCORE = 90
SHARE_OF_TRIALS = 0.15
SHARE_OF_LISTENERS = 0.25


def screen(ratings: Sequence[Rating]) -> dict[str, str]:
    """Find the listeners to leave out, each with the reason.

    Args:
        ratings: of listeners who finished the test.
    """
    reference: dict[str, list[bool]] = defaultdict(list)
    anchor: dict[str, dict[str, bool]] = defaultdict(dict)  # by clip and listener
    for rating in ratings:
        if rating.system == REFERENCE:
            reference[rating.listener].append(rating.score < GOOD_SCORE)
        elif rating.system == MID_ANCHOR:
            anchor[rating.clip][rating.listener] = rating.score > GOOD_SCORE
    telling = [v for v in anchor.values() if sum(v.values()) <= SHARE_OF_LISTENERS * len(v)]
    reasons = {}
    for listener, low in reference.items():
        high = [votes[listener] for votes in telling]
        if sum(low) > SHARE_OF_TRIALS * len(low):
            reasons[listener] = f"hidden reference below 90 in {sum(low)} of {len(low)} trials"
        elif sum(high) > SHARE_OF_TRIALS * len(high):
            reasons[listener] = f"7 kHz anchor above 90 in {sum(high)} of {len(high)} trials"
    return reasons
