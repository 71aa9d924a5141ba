"""What tracking costs a task, and what a report costs.

The whole health report, what it reads of tasks (the day's statistics and the hour's failure rate), and the hour's
chart with the day's percentiles, after 1,000 and after 1,000,000 tracked tasks of the last day; what it reads of
tasks also beside a JSON key a task, KEYS and GET.
Then the documented worker runs tasks that do nothing, with the tracker and without.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import cast

from redis import Redis

from app.core import redis
from app.core.broker import WakeUp, broker
from app.monitoring import keys
from app.monitoring import statistics as tracked
from app.monitoring.runs import FAILED, SUCCESS, SUCCESSFUL, Run, write
from app.utils.task_monitoring import health_checker
from bench.databases import using
from bench.measure import Figures, Row, at_most, compare, cpu_seconds, in_turn, rounds_of
from bench.tasks import NOOP
from tests.house import House, wait_until

SPREAD = 24 * 3600  #: seconds over which the tasks of a report lie
NAMES = [f"app.tasks.module.task_{n}" for n in range(17)]
ON, OFF = "a task, tracker on", "tracker off"
AFTER_MANY, AFTER_FEW, NAIVELY = "a report after many tasks", "after few", "KEYS and GET, a tenth of them"
CPU, SECONDS = "CPU us a task", "us a task"
WHOLE, REPORT, CHART = "ms, the whole report", "ms, of tasks", "ms, a chart"


def measure(house: House, smoke: bool) -> list[Row]:
    """Reports, then tasks."""
    tasks, few, many = (100, 1_000, 5_000) if smoke else (6_000, 1_000, 1_000_000)
    readers = {
        AFTER_MANY: _reader(house, 3, partial(_track, many), partial(_reports, many)),
        AFTER_FEW: _reader(house, 4, partial(_track, few), partial(_reports, few)),
        NAIVELY: _reader(house, 5, partial(_fill, many // 10), _naive_report),
    }
    reports = in_turn(readers, rounds_of(smoke))
    house.clean()
    ways = {ON: partial(_run, house, "true", tasks), OFF: partial(_run, house, "false", tasks)}
    runs = in_turn(ways, rounds_of(smoke))
    return [
        compare(reports, AFTER_MANY, AFTER_FEW, WHOLE, target=at_most(1.3)),
        compare(reports, AFTER_MANY, AFTER_FEW, REPORT, target=at_most(1.3)),
        compare(reports, AFTER_MANY, AFTER_FEW, CHART),
        compare(reports, AFTER_MANY, NAIVELY, REPORT, target=at_most(1 / 500)),
        compare(runs, ON, OFF, SECONDS, target=at_most(1.1)),
        compare(runs, ON, OFF, CPU),
    ]


def _run(house: House, tracker: str, tasks: int) -> Figures:
    """From the first to the last of a list that is full at once."""
    house.clean()
    queued, kept = house.valkey_client(1), house.valkey_client(0)
    with house.worker("-I", "bench.tasks", "-Q", "cleanup", TRACKER=tracker) as worker:
        _publish(tasks // 10)  # warm
        wait_until(lambda: not queued.exists("cleanup"), 300)
        time.sleep(2)
        before, started = cpu_seconds(worker.pid), time.monotonic()
        _publish(tasks)
        wait_until(lambda: not queued.exists("cleanup") and not queued.exists("unacked"), 300)
        seconds = time.monotonic() - started
        time.sleep(2)  # what has gathered is written by then
        used = cpu_seconds(worker.pid) - before
        counted = int(kept.hget(keys.by_task(keys.EVER), f"{NOOP}|{SUCCESSFUL}") or 0)
    if counted != (tasks + tasks // 10 if tracker == "true" else 0):
        raise RuntimeError(f"tracker {tracker}: {counted} runs were counted")
    return {CPU: used / tasks * 1e6, SECONDS: seconds / tasks * 1e6}


def _publish(number: int) -> None:
    broker.publish([WakeUp(f"{time.monotonic_ns()}-{n}", NOOP, "cleanup", 0, time.time()) for n in range(number)])


def _reader(
    house: House, database: int, fill: Callable[[], None], read: Callable[[], Figures]
) -> Callable[[], Figures]:
    """Fill one of Valkey's databases, once; `read` with that as the application's."""
    url = f"{house.valkey.url}/{database}"
    with using(url, "REDIS_URL"):
        fill()

    def run() -> Figures:
        with using(url, "REDIS_URL"):
            return read()

    return run


def _reports(tasks: int) -> Figures:
    return {
        WHOLE: _median(lambda: asyncio.run(health_checker.get_comprehensive_health_report())),
        REPORT: _median(partial(_report, tasks)),
        CHART: _median(_chart),
    }


def _naive_report() -> Figures:
    started = time.perf_counter()
    _naively(redis.client())
    return {REPORT: (time.perf_counter() - started) * 1000}


def _median(work: Callable[[], object]) -> float:
    """Milliseconds, warm."""
    work()
    measured = []
    for _ in range(15):
        started = time.perf_counter()
        work()
        measured.append((time.perf_counter() - started) * 1000)
    return statistics.median(measured)


def _report(tasks: int) -> None:
    found = tracked.statistics(24)
    if found["total_tasks"] != tasks:
        raise RuntimeError(f"the report counts {found['total_tasks']} tasks")
    tracked.failure_rate(1)


def _chart() -> None:
    tracked.per_minute(60)
    tracked.percentiles(24)


def _track(number: int) -> None:
    """Track so many tasks over the last day, all but the last moments of them by the hour."""
    client, now = redis.client(), time.time()
    for first in range(0, number, 1000):
        pipe = client.pipeline(transaction=True)
        write(pipe, [_ended(n, now - SPREAD * (number - n) / number * 0.95) for n in range(first, first + 1000)])
        pipe.execute()


def _ended(number: int, at: float) -> Run:
    status = FAILED if number % 50 == 0 else SUCCESS
    seconds = 0.002 * 1.4 ** (number % 23)
    return Run(
        task_id=f"{number:032x}",
        task_name=NAMES[number % len(NAMES)],
        queue="email",
        published_at=at - seconds - 0.1,
        started_at=at - seconds,
        status=status,
        ended_at=at,
        seconds=seconds,
    )


def _fill(number: int) -> None:
    client = redis.client()
    for first in range(0, number, 500):
        records = (_ended(n, time.time()) for n in range(first, first + 500))
        client.mset(
            {
                f"task:{r.task_id}": json.dumps(
                    {"task_name": r.task_name, "status": r.status, "seconds": r.seconds}
                )
                for r in records
            }
        )


def _naively(client: Redis) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for key in cast("list[bytes]", client.keys("task:*")):
        record = json.loads(cast("bytes", client.get(key)))
        counts[record["task_name"], record["status"]] += 1
    return counts
