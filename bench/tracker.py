"""What tracking costs a task, and what a report costs: `python -m bench.tracker [rounds]`.

First the time of what the health report reads (the day's statistics and the hour's failure rate), after 1,000 and
after 1,000,000 tracked tasks of the last day, and of the hour's chart with the day's percentiles, beside a JSON
key a task, KEYS and GET. Then the documented worker runs tasks that do nothing, the tracker on and off in turn:
CPU microseconds a task of the whole worker, and the median of their ratios. Writes bench/results/tracker.json.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import psutil
from redis import Redis

from app.core import migrations, redis
from app.core.broker import WakeUp, broker
from app.core.config import get_settings
from app.monitoring import keys
from app.monitoring import statistics as tracked
from app.monitoring.runs import FAILED, SUCCESS, SUCCESSFUL, Run, write
from bench.noop import NAME
from sandbox.servers.valkey import ValkeyServer
from tests.house import House, wait_until

TASKS, ROUNDS, FEW, MANY, NAIVE = 6_000, 9, 1_000, 1_000_000, 100_000
SPREAD = 24 * 3600  #: seconds over which the tasks of a report lie
NAMES = [f"app.tasks.module.task_{n}" for n in range(17)]
RESULTS = Path(__file__).parent / "results" / "tracker.json"


def main() -> None:
    """Measure both, print and write them."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    figures = {"report": _reports(), "cost": _cost(rounds)}
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1))


def _cost(rounds: int) -> dict[str, Any]:
    house = House()
    os.environ.update(house.environment)
    migrations.upgrade()
    cpu: dict[str, list[float]] = {"true": [], "false": []}
    wall: dict[str, list[float]] = {"true": [], "false": []}
    try:
        for number in range(rounds):
            for on in ("true", "false") if number % 2 else ("false", "true"):
                used, seconds = _run(house, on)
                cpu[on].append(used)
                wall[on].append(seconds)
    finally:
        house.stop()
    ratios = [on / off for on, off in zip(cpu["true"], cpu["false"], strict=True)]
    walls = [on / off for on, off in zip(wall["true"], wall["false"], strict=True)]
    return {
        "tasks": TASKS,
        "rounds": rounds,
        "cpu_us_a_task": {on: round(statistics.median(values), 1) for on, values in cpu.items()},
        "cpu_us_a_task_least": {on: round(min(values), 1) for on, values in cpu.items()},
        "cpu_ratio_median": round(statistics.median(ratios), 3),
        "cpu_ratios": [round(ratio, 3) for ratio in ratios],
        "seconds_ratio_median": round(statistics.median(walls), 3),
        "seconds_ratios": [round(ratio, 3) for ratio in walls],
    }


def _run(house: House, tracker: str) -> tuple[float, float]:
    """(CPU microseconds, wall microseconds) a task, from the first to the last of a list that is full at once."""
    house.clean()
    queued, kept = house.valkey_client(1), house.valkey_client(0)
    kept.flushdb()
    with house.worker("-I", "bench.noop", "-Q", "cleanup", TRACKER=tracker) as worker:
        process = psutil.Process(worker.pid)
        _publish(TASKS // 10)  # warm
        wait_until(lambda: not queued.exists("cleanup"), 300)
        time.sleep(2)
        before, started = sum(process.cpu_times()[:2]), time.monotonic()
        _publish(TASKS)
        wait_until(lambda: not queued.exists("cleanup") and not queued.exists("unacked"), 300)
        seconds = time.monotonic() - started
        time.sleep(2)  # what has gathered is written by then
        used = sum(process.cpu_times()[:2]) - before
        counted = int(kept.hget(keys.by_task(keys.EVER), f"{NAME}|{SUCCESSFUL}") or 0)
    if counted != (TASKS + TASKS // 10 if tracker == "true" else 0):
        raise RuntimeError(f"tracker {tracker}: {counted} runs were counted")
    return used / TASKS * 1e6, seconds / TASKS * 1e6


def _publish(number: int) -> None:
    broker.publish([WakeUp(f"{time.monotonic_ns()}-{n}", NAME, "cleanup", 0, time.time()) for n in range(number)])


def _reports() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with ValkeyServer(Path(folder), durable=False) as server:
            os.environ["REDIS_URL"] = f"{server.url}/0"
            figures = _compare(redis.client())
    get_settings.cache_clear()  # what comes next has servers of its own
    redis.client.cache_clear()
    return figures


def _compare(client: Redis) -> dict[str, Any]:
    times, charts = {}, {}
    for number in (FEW, MANY):
        _track(client, number)
        times[number] = _median(_report)
        charts[number] = _median(_chart)
    client.flushall()
    _fill(client, NAIVE)
    naive = _median(lambda: _naively(client), times=3)
    return {
        "ms": {str(number): round(seconds * 1000, 2) for number, seconds in times.items()},
        "growth": round(times[MANY] / times[FEW], 2),
        "chart_ms": {str(number): round(seconds * 1000, 2) for number, seconds in charts.items()},
        "chart_growth": round(charts[MANY] / charts[FEW], 2),
        "naive_tasks": NAIVE,
        "naive_ms": round(naive * 1000),
        "naive_ms_for_many_if_it_grows_in_proportion": round(naive * 1000 * MANY / NAIVE),
        "naive_times_ours_measured": round(naive / times[MANY]),
        "naive_times_ours_if_it_grows_in_proportion": round(naive * MANY / NAIVE / times[MANY]),
    }


def _median(work: Callable[[], object], times: int = 15) -> float:
    work()
    measured = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        measured.append(time.perf_counter() - started)
    return statistics.median(measured)


def _report() -> None:
    found = tracked.statistics(24)
    if found["total_tasks"] not in (FEW, MANY):
        raise RuntimeError(f"the report counts {found['total_tasks']} tasks")
    tracked.failure_rate(1)


def _chart() -> None:
    tracked.per_minute(60)
    tracked.percentiles(24)


def _track(client: Redis, number: int) -> None:
    """Track so many tasks over the last day, all but the last moments of them by the hour."""
    client.flushall()
    now = time.time()
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


def _fill(client: Redis, number: int) -> None:
    for first in range(0, number, 10_000):
        records = (_ended(n, time.time()) for n in range(first, first + 10_000))
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


if __name__ == "__main__":
    main()
