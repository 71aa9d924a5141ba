"""Histograms of seconds: how many were at most so long, in logarithmic buckets from a millisecond to two hours."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

#: Ten buckets a decade, of round numbers: a percentile is at most a third off, and 5 s and 60 s, which the
#: objectives ask for, are exact.
_STEPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
#: Upper bounds in seconds. A value above the last is in the bucket after it, and so is what never happened.
BOUNDS = tuple(round(step * 10.0**power, 6) for power in range(-3, 4) for step in _STEPS)
NEVER = len(BOUNDS)


def bucket(seconds: float) -> int:
    """The index in BOUNDS of the first bound that is not below `seconds`; NEVER if all are."""
    return bisect_left(BOUNDS, seconds)


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The seconds that a `share` (0 to 1) of all values kept to, by their counts per bucket; None without any.

    Within a bucket values are taken to lie evenly; those above every bound count as the last bound.
    """
    wanted = sum(counts.values()) * share
    seen = 0
    for index in sorted(counts):
        if counts[index] and seen + counts[index] >= wanted:
            if index >= NEVER:
                return BOUNDS[-1]
            low = BOUNDS[index - 1] if index else 0.0
            return low + (BOUNDS[index] - low) * (wanted - seen) / counts[index]
        seen += counts[index]
    return None
