"""One run of a task, and how a batch of them is written to Redis: records, sorted sets, counts, histograms."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.monitoring import keys
from app.monitoring.histogram import NEVER, bucket
from app.monitoring.objectives import asked_at, objective_of
from app.providers.errors import InvalidRecipient

STARTED, SUCCESS, FAILED, RETRYING = "started", "success", "failed", "retrying"

#: Outcomes that are counted; a run that rightly sent nothing is both successful and skipped, and one whose
#: recipient can't be reached (a dead number, a mailbox that is gone) both failed and unreachable.
SUCCESSFUL, RETRIED, SKIPPED, UNREACHABLE = "successful", "retried", "skipped", "unreachable"
#: What is measured in seconds: the run, the wait in the queue before it, and, for an objective, the time from
#: being asked for to being accepted by a provider.
RUN, WAIT, ACCEPTED = "run", "wait", "accepted"
#: Field of a sum in microseconds, beside a histogram's buckets or the number of runs that it sums.
SUM, TIMED = "us", "timed"

#: The name of all tasks together.
ALL = "*"
#: Tasks that only probe the house: they have records, but are none of what passengers are told.
PROBES = "app.tasks.canary_tasks."

#: Failures kept in the list, the newest ones.
FAILED_AT_MOST = 10_000

#: How the error of a message begins that failed for its recipient alone: by the class of its provider's refusal.
_RECIPIENTS_FAULT = f"DeliveryFailed: {InvalidRecipient.__name__}: "

_COUNTED = {SUCCESS: SUCCESSFUL, FAILED: FAILED, RETRYING: RETRIED}

#: Counts by field, for each minute (minutes since 1970).
Tally = dict[int, Counter[str]]

# A message whose wake-up came twice runs twice and reports the same acceptance twice: the first is the truth.
_ACCEPT = """
if redis.call('HSETNX', KEYS[1], 'judged', '1') == 1 then
    for i = 2, #KEYS do
        redis.call('HINCRBY', KEYS[i], ARGV[1], 1)
        redis.call('HINCRBY', KEYS[i], ARGV[2], ARGV[3])
    end
end
"""

# A wake-up too many begins while another process has the message in hand, and may be told of after that one's end:
# an end stands, unless it lies before the beginning.
_BEGIN = """
local status, ended_at = unpack(redis.call('HMGET', KEYS[1], 'status', 'ended_at'))
if (status == 'success' or status == 'failed') and tonumber(ended_at or 0) > tonumber(ARGV[2]) then return end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
"""


@dataclass(slots=True, kw_only=True, eq=False)
class Run:
    """One run. Times are seconds since 1970; `believed_until` is when a run that says no more has ended."""

    task_id: str
    task_name: str
    queue: str = ""
    published_at: float | None = None  # None where the message carries no time
    started_at: float | None = None
    status: str = STARTED
    ended_at: float | None = None
    seconds: float | None = None
    skipped: str | None = None
    error: str = ""
    believed_until: float = 0.0

    @property
    def unreachable(self) -> bool:
        """Whether it failed for its recipient alone, who could be reached by nobody however fast."""
        return self.status == FAILED and self.error.startswith(_RECIPIENTS_FAULT)


def write(pipe: Any, runs: Iterable[Run]) -> None:
    """Add to the pipeline what is to be written of runs that began or ended."""
    counts: Tally = defaultdict(Counter)
    times: Tally = defaultdict(Counter)
    ended = []
    for run in runs:
        probes = run.task_name.startswith(PROBES)
        if run.ended_at is None:
            if not probes:  # statistics tell what is under way for passengers
                _begin(pipe, run)
            continue
        _record(pipe, run)
        ended.append(run)
        if not probes:
            minute = int(run.ended_at // 60)
            _count(run, counts[minute], times[minute])
            _judge(pipe, run, run.ended_at)
    _list(pipe, ended)
    _add(pipe, counts, times)


def _begin(pipe: Any, run: Run) -> None:
    places = (keys.record(run.task_id), keys.RUNNING, keys.RETRYING)
    fields = (part for field in _fields(run).items() for part in field)
    told = (run.task_id, run.started_at or 0.0, run.believed_until, keys.RECORD_LIFETIME)
    pipe.eval(_BEGIN, len(places), *places, *told, *fields)


def _record(pipe: Any, run: Run) -> None:
    key = keys.record(run.task_id)
    pipe.hset(key, mapping=_fields(run))
    if run.status == RETRYING:
        pipe.hincrby(key, "retry_count", 1)
    pipe.expire(key, keys.RECORD_LIFETIME if run.status == SUCCESS else keys.FAILURE_LIFETIME)


def _fields(run: Run) -> dict[str, Any]:
    fields: dict[str, Any] = {"task_name": run.task_name, "status": run.status}
    fields |= {"error": run.error, "skipped": run.skipped or ""}
    optional = {
        "queue": run.queue or None,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "execution_time_seconds": run.seconds,
    }
    return fields | {name: value for name, value in optional.items() if value is not None}


def _count(run: Run, counts: Counter[str], times: Counter[str]) -> None:
    for name in (run.task_name, ALL):
        counts[f"{name}|{_COUNTED[run.status]}"] += 1
        if run.skipped is not None:
            counts[f"{name}|{SKIPPED}"] += 1
        if run.unreachable:
            counts[f"{name}|{UNREACHABLE}"] += 1
        if run.seconds is not None:
            if run.status != RETRYING:  # an average is of tasks that came to an end
                counts[f"{name}|{TIMED}"] += 1
                counts[f"{name}|{SUM}"] += _microseconds(run.seconds)
            _observe(times, f"{name}|{RUN}", run.seconds)
        if run.published_at is not None and run.started_at is not None:
            # Published by another machine, whose clock may be ahead.
            _observe(times, f"{name}|{WAIT}", max(0.0, run.started_at - run.published_at))


def _observe(times: Counter[str], series: str, seconds: float) -> None:
    times[f"{series}|{bucket(seconds)}"] += 1
    times[f"{series}|{SUM}"] += _microseconds(seconds)


def _judge(pipe: Any, run: Run, ended_at: float) -> None:
    """Note how soon a message under an objective was accepted; one that came too late or failed never was.

    One to a recipient who can't be reached says nothing of time.
    """
    name, asked = objective_of(run.task_name), asked_at(run.task_id)
    never = (run.status == FAILED and not run.unreachable) or run.skipped == "expired"
    if name is None or asked is None or not (never or _sent(run)):
        return
    seconds = 0.0 if never else max(0.0, ended_at - asked)
    field = f"{name}|{ACCEPTED}|{NEVER if never else bucket(seconds)}"
    hashes = [keys.times(key) for key, _ in _places(int(ended_at // 60))]
    arguments = (keys.record(run.task_id), *hashes, field, f"{name}|{ACCEPTED}|{SUM}", _microseconds(seconds))
    pipe.eval(_ACCEPT, 1 + len(hashes), *arguments)


def _sent(run: Run) -> bool:
    return run.status == SUCCESS and run.skipped is None


def _list(pipe: Any, ended: Sequence[Run]) -> None:
    """Keep the sorted sets: who runs, who waits for a retry, who failed."""
    by_status: dict[str, dict[str, float]] = defaultdict(dict)
    for run in ended:
        by_status[run.status][run.task_id] = run.ended_at or 0.0
    if ended:
        pipe.zrem(keys.RUNNING, *(run.task_id for run in ended))
        pipe.zrem(keys.RETRYING, *(run.task_id for run in ended))
        newest = max(run.ended_at or 0.0 for run in ended)
        pipe.zremrangebyscore(keys.RUNNING, "-inf", newest - keys.RECORD_LIFETIME)  # of killed ones
    if by_status[RETRYING]:
        pipe.zadd(keys.RETRYING, by_status[RETRYING])
        oldest = min(by_status[RETRYING].values()) - keys.RECORD_LIFETIME
        pipe.zremrangebyscore(keys.RETRYING, "-inf", oldest)
    if by_status[SUCCESS]:  # one that failed and was sent again is no failure any more
        pipe.zrem(keys.FAILED, *by_status[SUCCESS])
    if by_status[FAILED]:
        pipe.zadd(keys.FAILED, by_status[FAILED])
        pipe.zremrangebyrank(keys.FAILED, 0, -FAILED_AT_MOST - 1)


def _add(pipe: Any, counts: Tally, times: Tally) -> None:
    """Add up the counts of each minute, of its hour, and of all time."""
    for minute in counts:
        for place, lifetime in _places(minute):
            together, by_task = place, keys.by_task(place)
            for field, number in counts[minute].items():
                pipe.hincrby(together if field.startswith(ALL) else by_task, field, number)
            for field, number in times[minute].items():
                pipe.hincrby(keys.times(together if field.startswith(ALL) else by_task), field, number)
            if lifetime is not None:
                for key in (together, by_task, keys.times(together), keys.times(by_task)):
                    pipe.expire(key, lifetime)


def _places(minute: int) -> tuple[tuple[str, int | None], ...]:
    return (
        (keys.minute(minute), keys.MINUTE_LIFETIME),
        (keys.hour(minute // 60), keys.HOUR_LIFETIME),
        (keys.EVER, None),
    )


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
