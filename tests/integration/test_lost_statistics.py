"""What the cleanup report says of a database that has forgotten its statistics."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from app.maintenance import database_stats
from app.maintenance.advice import WASTED_SHARE
from sandbox.servers.postgres import PostgresServer
from tests.house import wait_until


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[Engine]:
    """A database on a server of its own, with one table, which has no room to spare."""
    with PostgresServer(tmp_path / "postgres", durable=False) as server:
        engine = create_engine(server.create_database("lost").replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            fill = "CREATE TABLE packed AS SELECT repeat('x', 100) AS row FROM generate_series(1, 9000)"
            connection.execute(text(fill))
            connection.execute(text("ANALYZE packed"))
        yield engine
        engine.dispose()


def reset(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_stat_reset()"))


def crash(engine: Engine) -> None:
    """A backend dies, and all others with it; the server recovers without a new start."""
    with suppress(OperationalError), engine.connect() as connection:
        os.kill(connection.execute(text("SELECT pg_backend_pid()")).scalar_one(), signal.SIGKILL)
    engine.dispose()

    def answers() -> bool:
        with suppress(OperationalError), engine.connect():
            return True
        return False

    wait_until(answers, 30)


@pytest.mark.parametrize("lose", [reset, crash])
def test_lost_statistics_are_no_sign_of_waste_or_disuse(lost: Engine, lose: Callable[[Engine], None]) -> None:
    began = datetime.now(UTC)
    lose(lost)
    with lost.connect() as connection:
        [table] = database_stats.tables(connection)
        assert 8_000 < table["live_rows"] < 10_000
        assert table["wasted_bytes"] < WASTED_SHARE * table["bytes"]
        assert connection.execute(text(database_stats.STATISTICS_SINCE)).scalar_one() > began
