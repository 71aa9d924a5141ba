"""What does it cost to delete old positions? `python -m bench.cleanup`: ten million of them, three days too old.

The product's cleaning beside one big DELETE with its VACUUM, on a table in one piece and on one cut by day; each
on a fresh copy of the same ten days, while another process inserts a position every 5 ms. Prints medians of the
rounds and writes bench/results/cleanup.json: seconds, WAL (without what the writer alone makes), inserts during
it and in the calm before, and disk given back. `--small` takes 200,000 positions and one round.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import psycopg

from app.core import migrations
from app.core.config import get_settings
from app.core.database import dispose
from app.maintenance import locations
from app.maintenance.partitions import TRIP_LOCATIONS
from sandbox.servers.postgres import PostgresServer
from tests import past

DAYS, KEPT = 10, 7  # days of positions; those before the last KEPT are too old
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
PAUSE = 0.005  # between two inserts
CALM = 3.0  # seconds of inserts alone, before the cleaning and again after it
RESULTS = Path(__file__).parent / "results" / "cleanup.json"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run: seconds and WAL of the cleaning, inserts meanwhile and in the calm before, disk given back."""

    seconds: float
    wal_mb: float
    p99_ms: float
    worst_ms: float
    calm_p99_ms: float
    freed_mb: float


def one_delete(url: str) -> int:
    """What a first version does: one statement, then VACUUM."""
    with psycopg.connect(url, autocommit=True) as connection:
        gone = connection.execute("DELETE FROM trip_locations WHERE recorded_at < %s", (_midnight(KEPT),)).rowcount
        connection.execute("VACUUM trip_locations")
        return gone


def product(_: str) -> int:
    """The cleaning task's function, on the application's own connections."""
    return locations.clean(datetime.now(UTC) - _midnight(KEPT)).count


@dataclass(frozen=True, slots=True)
class Way:
    """A way to clean, and the database that it gets a copy of."""

    database: str
    clean: Callable[[str], int]


WAYS = {
    "one table, DELETE + VACUUM": Way("whole", one_delete),
    "cut by day, DELETE + VACUUM": Way("by_day", one_delete),
    "detach and drop": Way("by_day", product),
}


def main() -> None:
    """Run all ways in turn."""
    small = "--small" in sys.argv
    positions, rounds = (200_000, 1) if small else (10_000_000, 3)
    folder = Path(tempfile.mkdtemp(prefix="pafar-bench-"))
    folder.chmod(0o755)
    figures: dict[str, list[Figures]] = {name: [] for name in WAYS}
    try:
        with PostgresServer(folder / "postgres", durable=True) as server:
            _fill(server, "by_day", positions)
            _fill(server, "whole", positions)
            for _ in range(rounds):
                for name, way in WAYS.items():
                    figures[name].append(_measure(server, way, positions * (DAYS - KEPT) // DAYS))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _report(figures, positions)


def _midnight(days: int) -> datetime:
    """The first moment, UTC, of the day that many days before this run began."""
    return TODAY - timedelta(days=days)


def _fill(server: PostgresServer, database: str, positions: int) -> None:
    """A database with DAYS whole days of positions, the last one yesterday; `whole` has them in one table."""
    _use(server.create_database(database))
    migrations.upgrade()
    for days in range(1, DAYS + 1):
        past.partition(TRIP_LOCATIONS, _midnight(days).date())
    dispose()
    with psycopg.connect(server.database_url(database), autocommit=True) as connection:
        if database == "whole":
            _make_whole(connection)
        connection.execute("SET synchronous_commit = off")
        connection.execute(
            "INSERT INTO trip_locations (recorded_at, trip_id, latitude, longitude, speed_kmh)"
            " SELECT %s + n * (interval '1 day' * %s / %s), n %% 400, 6.5, 3.4, 80"
            " FROM generate_series(0, %s) AS n",
            (_midnight(DAYS), DAYS, positions, positions - 1),
        )
        connection.execute("VACUUM (ANALYZE, FREEZE) trip_locations")  # as autovacuum leaves inserted rows


def _make_whole(connection: psycopg.Connection[Any]) -> None:
    """The same table, columns, keys and indexes, in one piece."""
    connection.execute("ALTER TABLE trip_locations RENAME TO by_day")
    connection.execute("CREATE TABLE trip_locations (LIKE by_day INCLUDING DEFAULTS INCLUDING INDEXES)")
    connection.execute("ALTER SEQUENCE trip_locations_id_seq OWNED BY trip_locations.id")
    connection.execute("DROP TABLE by_day")


def _measure(server: PostgresServer, way: Way, expected: int) -> Figures:
    """One run on a copy of its own, which is dropped again."""
    url = server.create_database("copy", template=way.database)
    _use(url)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        size = _size(connection)
        with _writer(url) as inserts:
            time.sleep(CALM)
            calm_wal = _wal(connection)
            time.sleep(CALM)
            started, wal = time.monotonic(), _wal(connection)
            gone = way.clean(url)
            ended, wal_end = time.monotonic(), _wal(connection)
            time.sleep(CALM)
        dispose()
        freed = size - _size(connection)
        connection.execute("DROP DATABASE copy WITH (FORCE)")
    # Besides the days that are over, the product takes the first moments of the next.
    assert expected <= gone <= expected * 1.001, f"{gone} positions went, not {expected}"
    return _figures(inserts, started, ended, wal_end - wal - (wal - calm_wal) / CALM * (ended - started), freed)


def _figures(
    inserts: list[tuple[float, float]], started: float, ended: float, wal: float, freed: float
) -> Figures:
    during = [took for at, took in inserts if at + took >= started and at <= ended]
    calm = [took for at, took in inserts if at + took < started and at > started - CALM]
    return Figures(
        seconds=ended - started,
        wal_mb=wal / 1e6,
        p99_ms=_p99(during) * 1000,
        worst_ms=max(during) * 1000,
        calm_p99_ms=_p99(calm) * 1000,
        freed_mb=freed / 1e6,
    )


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]


@contextmanager
def _writer(url: str) -> Iterator[list[tuple[float, float]]]:
    """Inserts from a process of its own inside the block; (start, seconds) of each, once the block is over."""
    context = get_context("spawn")
    stop, answers = context.Event(), context.Queue()
    process = context.Process(target=_insert, args=(url, stop, answers), daemon=True)
    process.start()
    inserts: list[tuple[float, float]] = []
    assert answers.get(timeout=60) == "ready"
    yield inserts
    stop.set()
    inserts.extend(answers.get(timeout=60))
    process.join(60)


def _insert(url: str, stop: Any, answers: Queue[Any]) -> None:
    times: list[tuple[float, float]] = []
    with psycopg.connect(url, autocommit=True) as connection:
        answers.put("ready")
        while not stop.is_set():
            started = time.monotonic()
            connection.execute(
                "INSERT INTO trip_locations (recorded_at, trip_id, latitude, longitude) VALUES (%s, 7, 6.5, 3.4)",
                (datetime.now(UTC),),
            )
            times.append((started, time.monotonic() - started))
            time.sleep(PAUSE)
    answers.put(times)


def _use(url: str) -> None:
    dispose()
    os.environ["DATABASE_URL"] = url
    get_settings.cache_clear()


def _wal(connection: psycopg.Connection[Any]) -> int:
    return _number(connection, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")


def _size(connection: psycopg.Connection[Any]) -> int:
    return _number(connection, "SELECT pg_database_size('copy')")


def _number(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _report(figures: dict[str, list[Figures]], positions: int) -> None:
    names = Figures.__slots__
    medians = {
        way: {name: statistics.median(getattr(run, name) for run in runs) for name in names}
        for way, runs in figures.items()
    }
    lines = [f"{'way':<28}" + "".join(f"{name:>13}" for name in names)]
    lines += [
        f"{way:<28}" + "".join(f"{value:>13.2f}" for value in values.values()) for way, values in medians.items()
    ]
    whole, _, drop = medians.values()
    faster, less = (whole[name] / drop[name] for name in ("seconds", "wal_mb"))
    lines.append(f"{faster:.0f} times faster than with one table, {less:.0f} times less WAL")
    sys.stdout.write("\n".join(lines) + "\n")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"positions": positions, "medians": medians}, indent=1))


if __name__ == "__main__":
    main()
