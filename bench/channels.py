"""What does a message of each channel cost, and whom? `python -m bench.channels`: one worker, quick providers.

Prints messages a second of one worker, and CPU milliseconds a message of the worker, of PostgreSQL and of Valkey,
with the bytes that a message leaves in the database and its log; and writes bench/results/channels.json.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from app.core import migrations
from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import submit
from bench.measure import cpu_seconds
from tests import data
from tests.house import House, wait_until

MESSAGES, ROUNDS = 1000, 3
CHANNELS: dict[str, tuple[str, str, Callable[..., dict[str, Any]]]] = {
    "email": ("booking_confirmation_email", "email", data.email),
    "sms": ("booking_confirmation_sms", "sms", data.sms),
    "push": ("booking_confirmation_push", "notifications", data.push),
}
COLUMNS = ("messages a second", "worker ms", "PostgreSQL ms", "Valkey ms", "stored bytes", "log bytes")
RESULTS = Path(__file__).parent / "results" / "channels.json"


def main() -> None:
    """Measure each channel ROUNDS times, in turn; the medians."""
    house = House()
    os.environ.update(house.environment)
    migrations.upgrade()
    figures: dict[str, list[tuple[float, ...]]] = {channel: [] for channel in CHANNELS}
    try:
        for _ in range(ROUNDS):
            for channel in CHANNELS:
                figures[channel].append(_measure(house, channel))
    finally:
        house.stop()
    _report({c: tuple(map(statistics.median, zip(*runs, strict=True))) for c, runs in figures.items()})


def _measure(house: House, channel: str) -> tuple[float, ...]:
    """One figure for each of COLUMNS, from the first to the last of MESSAGES."""
    house.clean()
    name, queue, arguments = CHANNELS[channel]
    with house.worker("-Q", queue) as worker, psycopg.connect(house.environment["DATABASE_URL"]) as looking:
        pids = (worker.pid, house.postgres.pid, house.valkey.pid)
        before, stored, logged = list(map(cpu_seconds, pids)), _stored(looking), _logged(looking)
        started = time.monotonic()
        with transaction() as session:
            bookings = (arguments(booking_reference=f"PF{number:06}") for number in range(MESSAGES))
            accepted = [submit.accept(session, KINDS[name], booking) for booking in bookings]
        submit.publish_all([one.wake_up for one in accepted if one.wake_up])
        wait_until(lambda: len(house.ledger.entries(channel)) >= MESSAGES, 300)
        seconds = time.monotonic() - started
        spent = [1000 * (cpu_seconds(pid) - b) / MESSAGES for pid, b in zip(pids, before, strict=True)]
        grown = ((_stored(looking) - stored) / MESSAGES, (_logged(looking) - logged) / MESSAGES)
        return (MESSAGES / seconds, *spent, *grown)


def _stored(looking: psycopg.Connection) -> float:
    """Bytes of the messages' tables and their indexes."""
    query = (
        "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
        " WHERE relname LIKE 'notifications%' OR relname IN ('outbox', 'subjects')"
    )
    return float(looking.execute(query).fetchall()[0][0])


def _logged(looking: psycopg.Connection) -> float:
    return float(looking.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchall()[0][0])


def _report(figures: dict[str, tuple[float, ...]]) -> None:
    lines = [f"{'':<8}" + "".join(f"{column:>20}" for column in COLUMNS)]
    lines += [f"{name:<8}" + "".join(f"{figure:>20.2f}" for figure in row) for name, row in figures.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"messages": MESSAGES, "columns": COLUMNS, "channels": figures}, indent=1))


if __name__ == "__main__":
    main()
