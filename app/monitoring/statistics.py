"""What the tracker has written, read back: the cost depends on the window, not on how many tasks there were.

Every function raises redis.RedisError when Redis is away: no answer is better than a zero that looks healthy.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.core import redis
from app.monitoring import keys
from app.monitoring.histogram import percentile
from app.monitoring.runs import FAILED, RETRIED, RUN, SKIPPED, STARTED, SUCCESS, SUCCESSFUL, SUM, TIMED

#: The longest window (hours): counts by the hour are kept a little longer.
LONGEST = 168

_OUTCOMES = (SUCCESSFUL, FAILED, RETRIED, SKIPPED)


@dataclass(frozen=True, slots=True)
class Totals:
    """Since the beginning: numbers that only grow.

    `outcomes` has {(task, "successful" | "failed" | "retried" | "skipped"): runs}; `histograms` has {(task,
    "run" | "wait") or (objective, "accepted"): {index in histogram.BOUNDS: observations}}, where the index after
    the last is for what lies above or never came; `sums` has the seconds of each histogram. `dropped` are the
    runs that were not counted because Redis was away.
    """

    outcomes: dict[tuple[str, str], int]
    histograms: dict[tuple[str, str], Counter[int]]
    sums: dict[tuple[str, str], float]
    dropped: int


def check_hours(hours: float) -> float:
    """`hours` if it is a window there can be. Raises ValueError."""
    fits = isinstance(hours, (int, float)) and not isinstance(hours, bool) and math.isfinite(hours)
    if not fits or not 0 < hours <= LONGEST:
        raise ValueError(f"hours: must be a number above 0 and at most {LONGEST}, not {hours!r}")
    return hours


def status(task_id: str) -> dict[str, Any] | None:
    """The task's record, None if there is none (any more).

    task_id, task_name, queue, status (started, success, failed, retrying), started_at, completed_at, failed_at
    (ISO 8601, UTC), execution_time_seconds, retry_count, skipped (why nothing was sent), error. What is not known
    or has not come is None.
    """
    return _record(task_id, redis.client().hgetall(keys.record(task_id)))


def failed(hours: float = 24, limit: int = 1000) -> list[dict[str, Any]]:
    """The records of tasks that failed in the last `hours`, newest first, at most `limit` (10,000 are kept).

    Raises ValueError for `hours`.
    """
    since = time.time() - check_hours(hours) * 3600
    client = redis.client()
    ids: Any = client.zrevrangebyscore(keys.FAILED, "+inf", since, start=0, num=limit)
    pipe = client.pipeline(transaction=False)
    for task_id in ids:
        pipe.hgetall(keys.record(task_id.decode()))
    records = (_record(i.decode(), found) for i, found in zip(ids, pipe.execute(), strict=True))
    return [record for record in records if record and record["status"] == FAILED]


def statistics(hours: float = 24) -> dict[str, Any]:
    """Counts of the last `hours`: to the minute up to one hour, beyond that from a full hour on.

    total_tasks (ended, running and waiting for a retry), successful_tasks, failed_tasks, retrying_tasks and
    running_tasks (both now), skipped_tasks (of the successful, those that rightly sent nothing), task_types
    {name: {total, successful, failed, retried, skipped}} (total has ended), average_execution_time (seconds, None
    if none ended), period_hours. Raises ValueError for `hours`.
    """
    pipe = redis.client().pipeline(transaction=False)
    now = time.time()
    pipe.zcount(keys.RUNNING, now, "+inf")
    pipe.zcount(keys.RETRYING, now - keys.RECORD_LIFETIME, "+inf")
    running, retrying, *hashes = _read(pipe, _window(hours))
    counts = _sum(hashes)
    types = _types(counts)
    successful, failures = _all(counts, SUCCESSFUL), _all(counts, FAILED)
    timed = _all(counts, TIMED)
    return {
        "total_tasks": successful + failures + running + retrying,
        "successful_tasks": successful,
        "failed_tasks": failures,
        "retrying_tasks": retrying,
        "running_tasks": running,
        "skipped_tasks": _all(counts, SKIPPED),
        "task_types": types,
        "average_execution_time": _all(counts, SUM) / timed / 1e6 if timed else None,
        "period_hours": hours,
    }


def failure_rate(hours: float = 1) -> dict[str, Any]:
    """Of the tasks that ended in the last `hours`, how many failed.

    failure_rate_percent (None if none ended), total_tasks, failed_tasks, period_hours. Raises ValueError for
    `hours`.
    """
    counts = _sum(_read(redis.client().pipeline(transaction=False), _window(hours)))
    failures = _all(counts, FAILED)
    total = failures + _all(counts, SUCCESSFUL)
    return {
        "failure_rate_percent": 100 * failures / total if total else None,
        "total_tasks": total,
        "failed_tasks": failures,
        "period_hours": hours,
    }


def percentiles(hours: float = 1, task: str | None = None, measure: str = RUN) -> dict[str, float | None]:
    """count, p50, p95 and p99 (seconds, None without any; above 8000 s it says 8000) of the last `hours`.

    `measure`: "run" or "wait" (in the queue) of one `task` or of all, or "accepted" (from being asked for to a
    provider's yes), whose `task` is the name of an objective. Raises ValueError for `hours`.
    """
    window = [keys.times(key) for key in _window(hours)]
    counts = _sum(_read(redis.client().pipeline(transaction=False), window))
    return _percentiles(_histograms(counts), task, measure)


def per_minute(minutes: int = 60) -> list[dict[str, Any]]:
    """The last `minutes` (1 to 120), oldest first, for charts.

    Each: at (ISO 8601, UTC), successful, failed, retried, skipped; of run times count, p50, p95, p99 (seconds).
    Raises ValueError for `minutes`.
    """
    if not 1 <= minutes <= 120:
        raise ValueError(f"minutes: must be a whole number from 1 to 120, not {minutes!r}")
    last = int(time.time() // 60)
    numbers = range(last - minutes + 1, last + 1)
    window = [name for n in numbers for name in (keys.minute(n), keys.times(keys.minute(n)))]
    hashes = _read(redis.client().pipeline(transaction=False), window)
    pairs = zip(numbers, hashes[::2], hashes[1::2], strict=True)
    return [
        {"at": _iso(n * 60.0)}
        | {outcome: _all(_sum([counts]), outcome) for outcome in _OUTCOMES}
        | _percentiles(_histograms(_sum([times])), None, RUN)
        for n, counts, times in pairs
    ]


def totals() -> Totals:
    """Everything since the beginning, for counters that only grow."""
    pipe = redis.client().pipeline(transaction=False)
    pipe.get(keys.DROPPED)
    dropped, counts, times = _read(pipe, [keys.EVER, keys.times(keys.EVER)])
    split = ((tuple(name.rsplit("|", 1)), number) for name, number in _sum([counts]).items())
    measured = _sum([times])
    return Totals(
        outcomes={(task, outcome): number for (task, outcome), number in split if outcome in _OUTCOMES},
        histograms=_histograms(measured),
        sums={_series(name): number / 1e6 for name, number in measured.items() if name.endswith(f"|{SUM}")},
        dropped=int(dropped or 0),
    )


def _window(hours: float) -> list[str]:
    """The hashes of the last `hours`: at most 61 of a minute, or one an hour and one more."""
    now = time.time()
    since = now - check_hours(hours) * 3600
    key, seconds = (keys.minute, 60) if hours <= 1 else (keys.hour, 3600)
    return [key(number) for number in range(int(since // seconds), int(now // seconds) + 1)]


def _read(pipe: Any, hashes: Iterable[str]) -> list[Any]:
    for name in hashes:
        pipe.hgetall(name)
    return list(pipe.execute())


def _sum(hashes: Iterable[dict[bytes, bytes]]) -> Counter[str]:
    total: Counter[bytes] = Counter()
    for found in hashes:
        for field, number in found.items():
            total[field] += int(number)
    return Counter({field.decode(): number for field, number in total.items()})


def _all(counts: Counter[str], outcome: str) -> int:
    return sum(number for field, number in counts.items() if field.endswith(f"|{outcome}"))


def _types(counts: Counter[str]) -> dict[str, dict[str, int]]:
    names = sorted({field.rsplit("|", 1)[0] for field in counts})
    types = {name: {outcome: counts[f"{name}|{outcome}"] for outcome in _OUTCOMES} for name in names}
    return {name: {"total": of[SUCCESSFUL] + of[FAILED], **of} for name, of in types.items()}


def _series(field: str) -> tuple[str, str]:
    name, measure, _ = field.rsplit("|", 2)
    return name, measure


def _histograms(times: Counter[str]) -> dict[tuple[str, str], Counter[int]]:
    found: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for field, number in times.items():
        if not field.endswith(f"|{SUM}"):
            found[_series(field)][int(field.rsplit("|", 1)[1])] += number
    return dict(found)


def _percentiles(
    histograms: dict[tuple[str, str], Counter[int]], task: str | None, measure: str
) -> dict[str, float | None]:
    merged: Counter[int] = Counter()
    for (name, measured), counts in histograms.items():
        if measured == measure and task in (None, name):
            merged.update(counts)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {"count": merged.total()} | {name: percentile(merged, share) for name, share in shares.items()}


def _record(task_id: str, found: Any) -> dict[str, Any] | None:
    if not found:
        return None
    fields = {name.decode(): value.decode() for name, value in found.items()}
    state = fields.get("status")
    seconds = fields.get("execution_time_seconds")
    ended_at = _iso(fields.get("ended_at"))
    return {
        "task_id": task_id,
        "task_name": fields.get("task_name"),
        "queue": fields.get("queue"),
        "status": state,
        "started_at": _iso(fields.get("started_at")),
        "completed_at": ended_at if state == SUCCESS else None,
        "failed_at": ended_at if state == FAILED else None,
        "execution_time_seconds": None if seconds is None or state == STARTED else float(seconds),
        "retry_count": int(fields.get("retry_count", 0)),
        "skipped": fields.get("skipped") or None,
        "error": fields.get("error") or None,
    }


def _iso(seconds: float | str | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(float(seconds), UTC).isoformat()
