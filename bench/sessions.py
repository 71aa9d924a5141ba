"""Deleting idle sessions, one in ten, beside KEYS, GET, DEL.

A second client, a process of its own, reads a key every millisecond meanwhile and notes its waits; also beside a
server left alone, below which no way can be.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.synchronize import Event
from typing import Any, cast

from redis import Redis

from app.maintenance.sessions import sweep
from bench.measure import Figures, Row, at_most, compare, in_turn, percentile, rounds_of
from tests.house import House

CUTOFF = datetime(2026, 1, 1, tzinfo=UTC)
SWEEP, NAIVELY, ALONE = "SCAN, MGET, UNLINK if unchanged", "KEYS, GET, DEL", "a server left alone"
WORST, P99, SECONDS = "ms, worst wait", "ms, p99", "s"


def measure(house: House, smoke: bool) -> list[Row]:
    """The second client's waits, and how long each way takes."""
    sessions, idle = (2_000, 0.2) if smoke else (1_000_000, 10.0)
    gone = sessions // 10
    ways = {
        SWEEP: partial(_run, house, sessions, gone, lambda client: sweep(client, cutoff=CUTOFF, seconds=3600)),
        NAIVELY: partial(_run, house, sessions, gone, _naively),
        ALONE: partial(_run, house, sessions, 0, lambda _: time.sleep(idle)),
    }
    runs = in_turn(ways, rounds_of(smoke))
    return [
        compare(runs, SWEEP, NAIVELY, WORST, target=at_most(1 / 20)),
        compare(runs, SWEEP, NAIVELY, P99),
        compare(runs, SWEEP, NAIVELY, SECONDS),
        compare(runs, SWEEP, ALONE, WORST),
    ]


def _run(house: House, sessions: int, gone: int, clean: Callable[[Redis], object]) -> Figures:
    client: Redis = house.valkey_client(0)
    _fill(client, sessions)
    figures = _beside(f"{house.valkey.url}/0", client, clean)
    if (left := client.dbsize()) != sessions - gone:
        raise RuntimeError(f"{left} sessions stayed instead of {sessions - gone}")
    client.flushall()
    return figures


def _fill(client: Redis, number: int) -> None:
    client.flushall()
    for first in range(0, number, 10_000):
        names = range(first, min(first + 10_000, number))
        client.mset({f"session:{n:032x}": _session(n) for n in names})


def _session(number: int) -> str:
    moment = CUTOFF + timedelta(days=-1 if number % 10 == 0 else 1)
    return json.dumps({"user_id": number, "last_activity": moment.isoformat(), "data": "x" * 60})


def _naively(client: Redis) -> None:
    for key in cast("list[bytes]", client.keys("session:*")):
        value = cast("bytes", client.get(key))
        if datetime.fromisoformat(json.loads(value)["last_activity"]) < CUTOFF:
            client.delete(key)


def _beside(url: str, client: Redis, clean: Callable[[Redis], object]) -> Figures:
    """What the second client noted meanwhile."""
    context = multiprocessing.get_context("spawn")
    over, waits = context.Event(), context.Queue()
    second = context.Process(target=_second_client, args=(url, over, waits))
    second.start()
    waits.get()  # it has begun
    started = time.perf_counter()
    clean(client)
    seconds = time.perf_counter() - started
    over.set()
    noted = [wait * 1000 for wait in waits.get()]
    second.join()
    return {SECONDS: seconds, P99: percentile(noted, 99), WORST: max(noted)}


def _second_client(url: str, over: Event, waits: Any) -> None:
    client, noted = Redis.from_url(url), []
    client.ping()
    waits.put("ready")
    while not over.is_set():
        started = time.perf_counter()
        client.get("session:1")
        noted.append(time.perf_counter() - started)
        time.sleep(0.001)
    waits.put(noted)
