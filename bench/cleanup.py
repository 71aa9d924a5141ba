"""What deleting old positions costs: ten million of them, three days of ten too old.

The product's cleaning of a table cut by day, beside one big DELETE with its VACUUM on a table in one piece. Each
on a fresh copy of the same ten days, while another process inserts positions, a millisecond apart. WAL is without
what the writer alone makes; percentiles are of the inserts while it ran, in some seconds from its start (as
long for every way), and in the calm before. What nothing that gives the room back undercuts is the file system
alone: plain files of the same size, written out and unlinked one by one. How soon they go, and whom that holds up,
depends on how the disk is mounted; `TMPDIR` chooses it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import psutil
import psycopg

from app.core import migrations
from app.core.database import dispose, transaction
from app.maintenance import locations
from app.maintenance.partitions import TRIP_LOCATIONS
from bench.databases import using
from bench.measure import Figures, Row, alone, at_most, compare, in_turn, percentile, rounds_of
from sandbox.servers.postgres import PostgresServer
from tests import past
from tests.house import House

DAYS, KEPT = 10, 7  # days of positions; those before the last KEPT are too old
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
PAUSE = 0.001  # between two inserts
CHUNK = bytes(1_000_000)
SECONDS, WAL, FREED = "s", "MB of WAL", "MB given back"
DURING, FROM_START, BEFORE = "while it ran", "from its start", "in the calm before"


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


WHOLE, DROP, FILES = "one table, DELETE + VACUUM", "detach and drop", "plain files, unlinked"
WAYS = {WHOLE: Way("whole", one_delete), DROP: Way("by_day", product)}


def measure(house: House, smoke: bool) -> list[Row]:
    """Seconds, WAL and disk of both, and what a writer felt."""
    positions, calm = (100_000, 0.3) if smoke else (10_000_000, 3.0)
    expected = positions * (DAYS - KEPT) // DAYS
    with PostgresServer(house.folder / "durable", durable=True) as server:
        for way in WAYS.values():
            _fill(server, way.database, positions)
        ways = {name: partial(_run, server, way, expected, calm) for name, way in WAYS.items()}
        ways[FILES] = partial(_unlink, server.data_dir, _sizes_of_old_days(server))
        runs = in_turn(ways, rounds_of(smoke))
    targets = {SECONDS: at_most(1 / 20), WAL: at_most(1 / 300), f"{DURING}, insert p99 ms": at_most(1)}
    freed = [alone(runs, name, FREED) for name in WAYS]
    units = [unit for unit in runs[DROP][0] if unit != FREED]
    limit = compare(runs, DROP, FILES, SECONDS, limit=f"all of it on {_disk(house.folder)}")
    return [*(compare(runs, DROP, WHOLE, unit, target=targets.get(unit)) for unit in units), limit, *freed]


def _midnight(days: int) -> datetime:
    """The first moment, UTC, of the day that many days before this run began."""
    return TODAY - timedelta(days=days)


def _fill(server: PostgresServer, database: str, positions: int) -> None:
    """A database with DAYS whole days of positions, the last one yesterday; `whole` has them in one table."""
    with using(server.create_database(database)):
        migrations.upgrade()
        for days in range(1, DAYS + 1):
            past.partition(TRIP_LOCATIONS, _midnight(days).date())
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


def _run(server: PostgresServer, way: Way, expected: int, calm: float) -> Figures:
    """On a copy of its own, which is dropped again; `calm` seconds of inserts alone before and after."""
    url = server.create_database("copy", template=way.database)
    with using(url), psycopg.connect(server.url, autocommit=True) as connection:
        with transaction():  # opens the pool, as a worker's is
            pass
        connection.execute("CHECKPOINT")
        size = _size(connection)
        with _writer(url) as inserts:
            time.sleep(calm)
            calm_wal = _wal(connection)
            time.sleep(calm)
            started, wal = time.monotonic(), _wal(connection)
            gone = way.clean(url)
            ended, wal_end = time.monotonic(), _wal(connection)
            time.sleep(calm)
        dispose()
        freed = size - _size(connection)
        connection.execute("DROP DATABASE copy WITH (FORCE)")
    # Besides the days that are over, the product takes the first moments of the next.
    if not expected <= gone <= expected * 1.001:
        raise RuntimeError(f"{gone} positions went, not {expected}")
    own_wal = wal_end - wal - (wal - calm_wal) / calm * (ended - started)
    return {
        SECONDS: ended - started,
        WAL: own_wal / 1e6,
        FREED: freed / 1e6,
        **_felt(inserts, started, ended, calm),
    }


def _sizes_of_old_days(server: PostgresServer) -> list[int]:
    """Bytes of each day's table that is too old, indexes included."""
    tables = [TRIP_LOCATIONS.partition(_midnight(days).date()) for days in range(KEPT + 1, DAYS + 1)]
    with psycopg.connect(server.database_url(WAYS[DROP].database)) as connection:
        return [_number(connection, f"SELECT pg_total_relation_size('{table}')") for table in tables]


def _unlink(folder: Path, sizes: list[int]) -> Figures:
    paths = [folder / f"plain-{number}" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        with path.open("wb") as file:
            for _ in range(0, size, len(CHUNK)):
                file.write(CHUNK)
            os.fsync(file.fileno())
    started = time.monotonic()
    for path in paths:
        path.unlink()
    return {SECONDS: time.monotonic() - started}


def _disk(folder: Path) -> str:
    """File system and options. With `discard`, giving room back waits for the device, and so does who flushes."""
    places = [place for place in psutil.disk_partitions(all=True) if folder.is_relative_to(place.mountpoint)]
    nearest = max(places, key=lambda place: len(place.mountpoint))
    return f"{nearest.fstype}, mounted {nearest.opts}"


def _felt(inserts: list[tuple[float, float]], started: float, ended: float, calm: float) -> Figures:
    """Percentiles of the inserts' milliseconds, of three spans of time."""
    spans = {
        DURING: (started, ended),
        FROM_START: (started, started + calm),
        BEFORE: (started - calm, started),
    }
    figures: dict[str, float] = {}
    for name, (first, last) in spans.items():
        waits = [took * 1000 for at, took in inserts if at + took >= first and at <= last]
        figures |= {f"{name}, insert p{percent} ms": percentile(waits, percent) for percent in (95, 99)}
    return figures


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


def _wal(connection: psycopg.Connection[Any]) -> int:
    return _number(connection, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")


def _size(connection: psycopg.Connection[Any]) -> int:
    return _number(connection, "SELECT pg_database_size('copy')")


def _number(connection: psycopg.Connection[Any], query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])
