"""Deleting idle sessions, beside KEYS, GET, DEL: `python -m bench.sessions [sessions]`.

One in ten of the sessions is idle. A second client, a process of its own, reads a key every millisecond meanwhile
and notes its waits. Prints seconds and the second client's worst waits, with those of a server left alone, and
writes bench/results/sessions.json.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, cast

from redis import Redis

from app.maintenance.sessions import sweep
from sandbox.servers.valkey import ValkeyServer

SESSIONS, CUTOFF = 1_000_000, datetime(2026, 1, 1, tzinfo=UTC)
RESULTS = Path(__file__).parent / "results" / "sessions.json"


def main() -> None:
    """Run each way once; the sessions are filled in anew before each."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS
    ways: dict[str, Callable[[Redis], object]] = {
        "left alone": lambda _: time.sleep(10),
        "SCAN, MGET, UNLINK if unchanged": lambda client: sweep(client, cutoff=CUTOFF, seconds=3600),
        "KEYS, GET, DEL": _naively,
    }
    figures = {}
    with tempfile.TemporaryDirectory() as folder, ValkeyServer(Path(folder), durable=False) as server:
        client = Redis.from_url(server.url)
        for name, clean in ways.items():
            _fill(client, number)
            figures[name] = _measure(server.url, client, clean)
            expected = number if name == "left alone" else number - number // 10
            if client.dbsize() != expected:
                raise RuntimeError(f"{name}: {client.dbsize()} sessions stayed instead of {expected}")
    _report(number, figures)


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


def _measure(url: str, client: Redis, clean: Callable[[Redis], object]) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    over, waits = context.Event(), context.Queue()
    second = context.Process(target=_second_client, args=(url, over, waits))
    second.start()
    waits.get()  # it has begun
    started = time.perf_counter()
    clean(client)
    seconds = time.perf_counter() - started
    over.set()
    noted = sorted(waits.get())
    second.join()
    p99 = noted[int(len(noted) * 0.99)]
    return {"seconds": seconds, "p99_ms": p99 * 1000, "worst_ms": noted[-1] * 1000}


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


def _report(number: int, figures: dict[str, dict[str, float]]) -> None:
    lines = [f"{number} sessions", f"{'way':<34}{'s':>8}{'p99 ms':>9}{'worst ms':>10}"]
    for name, figure in figures.items():
        lines.append(f"{name:<34}{figure['seconds']:>8.1f}{figure['p99_ms']:>9.1f}{figure['worst_ms']:>10.1f}")
    sys.stdout.write("\n".join(lines) + "\n")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"sessions": number, "ways": figures}, indent=1))


if __name__ == "__main__":
    main()
