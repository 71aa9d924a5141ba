"""What the tracker has written, read back: the cost depends on the window, not on how many tasks there were.

Every function raises redis.RedisError when Redis is away: no answer is better than a zero that looks healthy.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.core import redis
from app.messages.kinds import KINDS
from app.monitoring import keys, windows
from app.monitoring.histogram import percentile
from app.monitoring.objectives import OBJECTIVES
from app.monitoring.runs import (
    ACCEPTED,
    ALL,
    FAILED,
    RETRIED,
    RUN,
    SKIPPED,
    STARTED,
    SUCCESS,
    SUCCESSFUL,
    SUM,
    TIMED,
    WAIT,
)
from app.monitoring.windows import check_hours

_OUTCOMES = (SUCCESSFUL, FAILED, RETRIED, SKIPPED)
_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


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


def dead_letters() -> dict[str, int]:
    """{task: those that failed for good within a week and were not sent since}, of the newest 10,000.

    Every task that sends is there, with 0 where none is dead.
    """
    client = redis.client()
    ids: Any = client.zrangebyscore(keys.FAILED, time.time() - keys.FAILURE_LIFETIME, "+inf")
    pipe = client.pipeline(transaction=False)
    for task_id in ids:
        pipe.hget(keys.record(task_id.decode()), "task_name")
    names = Counter(name.decode() for name in pipe.execute() if name is not None)
    return {kind.task: 0 for kind in KINDS.values()} | names


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
    names = windows.hashes(hours)
    for name in (*names, *map(keys.by_task, names)):
        pipe.hgetall(name)
    running, retrying, *answers = pipe.execute()
    counts = windows.merged(answers[: len(names)])
    successful, failures, timed = (counts[f"{ALL}|{outcome}"] for outcome in (SUCCESSFUL, FAILED, TIMED))
    return {
        "total_tasks": successful + failures + running + retrying,
        "successful_tasks": successful,
        "failed_tasks": failures,
        "retrying_tasks": retrying,
        "running_tasks": running,
        "skipped_tasks": counts[f"{ALL}|{SKIPPED}"],
        "task_types": _types(windows.merged(answers[len(names) :])),
        "average_execution_time": counts[f"{ALL}|{SUM}"] / timed / 1e6 if timed else None,
        "period_hours": hours,
    }


def failure_rate(hours: float = 1) -> dict[str, Any]:
    """Of the tasks that ended in the last `hours`, how many failed.

    failure_rate_percent (None if none ended), total_tasks, failed_tasks, period_hours. Raises ValueError for
    `hours`.
    """
    successful, failures = _sums(windows.hashes(hours), [f"{ALL}|{SUCCESSFUL}", f"{ALL}|{FAILED}"])
    total = failures + successful
    return {
        "failure_rate_percent": 100 * failures / total if total else None,
        "total_tasks": total,
        "failed_tasks": failures,
        "period_hours": hours,
    }


def percentiles(hours: float = 1, task: str = ALL, measure: str = RUN) -> dict[str, float | None]:
    """count, p50, p95 and p99 (seconds, None without any; above 8000 s it says 8000) of the last `hours`.

    `measure`: "run" or "wait" (in the queue) of one `task` or of all, or "accepted" (from being asked for to a
    provider's yes), whose `task` is the name of an objective. Raises ValueError.
    """
    if measure not in (RUN, WAIT, ACCEPTED):
        raise ValueError(f"measure: must be {RUN}, {WAIT} or {ACCEPTED}, not {measure!r}")
    if measure == ACCEPTED and task not in OBJECTIVES:
        raise ValueError(f"task: must be an objective ({', '.join(OBJECTIVES)}) for {ACCEPTED}, not {task!r}")
    together = task == ALL or measure == ACCEPTED
    names = [keys.times(name if together else keys.by_task(name)) for name in windows.hashes(hours)]
    return _percentiles(_sums(names, windows.buckets(f"{task}|{measure}")))


def per_minute(minutes: int = 60) -> list[dict[str, Any]]:
    """The last `minutes` (1 to 120), oldest first, for charts.

    Each: at (ISO 8601, UTC), successful, failed, retried, skipped; of run times count, p50, p95, p99 (seconds).
    Raises ValueError for `minutes`.
    """
    if not 1 <= minutes <= 120:
        raise ValueError(f"minutes: must be a whole number from 1 to 120, not {minutes!r}")
    last = int(time.time() // 60)
    numbers = range(last - minutes + 1, last + 1)
    pipe = redis.client().pipeline(transaction=False)
    windows.ask(pipe, map(keys.minute, numbers), [f"{ALL}|{outcome}" for outcome in _OUTCOMES])
    windows.ask(pipe, (keys.times(keys.minute(n)) for n in numbers), windows.buckets(f"{ALL}|{RUN}"))
    answers = [[int(value or 0) for value in answer] for answer in pipe.execute()]
    return [
        {"at": _iso(number * 60.0)} | dict(zip(_OUTCOMES, counts, strict=True)) | _percentiles(times)
        for number, counts, times in zip(numbers, answers[:minutes], answers[minutes:], strict=True)
    ]


def totals() -> Totals:
    """Everything since the beginning, for counters that only grow."""
    pipe = redis.client().pipeline(transaction=False)
    pipe.get(keys.DROPPED)
    pipe.hgetall(keys.by_task(keys.EVER))
    pipe.hgetall(keys.times(keys.by_task(keys.EVER)))
    pipe.hgetall(keys.times(keys.EVER))  # the objectives'
    dropped, counts, *times = pipe.execute()
    histograms: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    sums = {}
    for field, number in windows.merged(times).items():
        name, measure, index = field.rsplit("|", 2)
        if index == SUM:
            sums[name, measure] = number / 1e6
        else:
            histograms[name, measure][int(index)] = number
    outcomes = {
        (name, outcome): of[outcome]
        for name, of in _types(windows.merged([counts])).items()
        for outcome in _OUTCOMES
    }
    return Totals(
        outcomes={key: number for key, number in outcomes.items() if number},
        histograms={key: found for key, found in histograms.items() if key[0] != ALL},
        sums={key: seconds for key, seconds in sums.items() if key[0] != ALL},
        dropped=int(dropped or 0),
    )


def _sums(names: list[str], fields: list[str]) -> list[int]:
    """The sum of each field over the hashes."""
    pipe = redis.client().pipeline(transaction=False)
    windows.ask(pipe, names, fields)
    total = windows.added(fields, pipe.execute())
    return [total[field] for field in fields]


def _types(counts: Counter[str]) -> dict[str, dict[str, int]]:
    names = sorted({field.rsplit("|", 1)[0] for field in counts})
    types = {name: {outcome: counts[f"{name}|{outcome}"] for outcome in _OUTCOMES} for name in names}
    return {name: {"total": of[SUCCESSFUL] + of[FAILED], **of} for name, of in types.items()}


def _percentiles(counts: list[int]) -> dict[str, float | None]:
    found = dict(enumerate(counts))
    return {"count": sum(counts)} | {name: percentile(found, share) for name, share in _SHARES.items()}


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
