"""Which pool suits a worker that sends? `python -m bench.pools`: SMS through a gateway that takes 100 ms.

Prints sends a second and CPU milliseconds a send (the worker and its children) for each pool, each run on the
same embedded servers in turn, and writes bench/results/pools.json.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

import psutil

from app.core import migrations
from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import submit
from sandbox.standins.script import slow
from tests import data
from tests.house import House, wait_until

MESSAGES, ROUNDS, LATENCY = 300, 3, 0.1
POOLS = {
    "threads -c 32 (plain command)": (),
    "threads -c 16": ("-P", "threads", "-c", "16"),
    "prefork -c 2 (Celery's default here)": ("-P", "prefork", "-c", "2"),
    "prefork -c 16": ("-P", "prefork", "-c", "16"),
}
RESULTS = Path(__file__).parent / "results" / "pools.json"


def main() -> None:
    """Run every pool ROUNDS times, in turn."""
    house = House()
    os.environ.update(house.environment)
    migrations.upgrade()
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in POOLS}
    try:
        for _ in range(ROUNDS):
            for name, options in POOLS.items():
                figures[name].append(_measure(house, options))
    finally:
        house.stop()
    _report({name: tuple(map(statistics.median, zip(*runs, strict=True))) for name, runs in figures.items()})


def _measure(house: House, options: tuple[str, ...]) -> tuple[float, float, float]:
    """(sends a second, CPU ms a send, memory in MB) from the first to the last of MESSAGES."""
    house.clean()
    house.sms.script.extend(slow(LATENCY) for _ in range(MESSAGES))
    kind = KINDS["booking_confirmation_sms"]
    with house.worker(*options) as worker:
        family = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
        before = _cpu(family)
        with transaction() as connection:
            accepted = [submit.accept(connection, kind, data.sms()) for _ in range(MESSAGES)]
        submit.publish_all([a.wake_up for a in accepted if a.wake_up])
        started = time.monotonic()
        wait_until(lambda: len(house.ledger.entries("sms")) >= MESSAGES, 300)
        seconds = time.monotonic() - started
        memory = sum(p.memory_full_info().pss for p in family) / 1e6
        return MESSAGES / seconds, (_cpu(family) - before) / MESSAGES * 1000, memory


def _cpu(family: list[psutil.Process]) -> float:
    return sum(sum(p.cpu_times()[:2]) for p in family)


def _report(figures: dict[str, tuple[float, ...]]) -> None:
    base = figures["prefork -c 2 (Celery's default here)"][0]
    lines = [f"{'pool':<40}{'sends/s':>10}{'ratio':>8}{'CPU ms/send':>14}{'memory MB':>12}"]
    for name, (rate, cpu, memory) in figures.items():
        lines.append(f"{name:<40}{rate:>10.1f}{rate / base:>8.1f}{cpu:>14.1f}{memory:>12.0f}")
    sys.stdout.write("\n".join(lines) + "\n")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"messages": MESSAGES, "latency_s": LATENCY, "pools": figures}, indent=1))


if __name__ == "__main__":
    main()
