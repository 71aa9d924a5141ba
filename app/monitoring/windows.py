"""Counts of a window of time, added up from the hashes that the tracker writes.

What is asked for by field costs the same however many tasks there were and however many names they have.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from app.monitoring import keys
from app.monitoring.histogram import NEVER

#: The longest window (hours): counts by the hour are kept a little longer.
LONGEST = 168


def check_hours(hours: float) -> float:
    """`hours` if it is a window there can be. Raises ValueError."""
    fits = isinstance(hours, (int, float)) and not isinstance(hours, bool) and math.isfinite(hours)
    if not fits or not 0 < hours <= LONGEST:
        raise ValueError(f"hours: must be a number above 0 and at most {LONGEST}, not {hours!r}")
    return hours


def hashes(hours: float) -> list[str]:
    """The hashes of the last `hours`: at most 61 of a minute, or one an hour and one more. Raises ValueError."""
    now = time.time()
    since = now - check_hours(hours) * 3600
    key, seconds = (keys.minute, 60) if hours <= 1 else (keys.hour, 3600)
    return [key(number) for number in range(int(since // seconds), int(now // seconds) + 1)]


def ask(pipe: Any, names: Iterable[str], fields: Sequence[str]) -> None:
    """Have these fields of each hash read by the pipeline."""
    for name in names:
        pipe.hmget(name, fields)


def added(fields: Sequence[str], answers: Iterable[Sequence[bytes | None]]) -> Counter[str]:
    """The sum of each field over the answers to `ask`."""
    total: Counter[str] = Counter()
    for answer in answers:
        for field, number in zip(fields, answer, strict=True):
            if number is not None:
                total[field] += int(number)
    return total


def merged(answers: Iterable[dict[bytes, bytes]]) -> Counter[str]:
    """The sum of each field over whole hashes."""
    total: Counter[bytes] = Counter()
    for answer in answers:
        for field, number in answer.items():
            total[field] += int(number)
    return Counter({field.decode(): number for field, number in total.items()})


def buckets(series: str) -> list[str]:
    """The fields of a series' histogram, by index in histogram.BOUNDS."""
    return [f"{series}|{index}" for index in range(NEVER + 1)]
