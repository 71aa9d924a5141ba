"""Connections for work that holds a session's lock, can't run in a transaction, or reads for long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from app.core.database import engine, naming_outages, transaction

#: What a statement may take, and how long it may wait for a lock; both far below a task's time limit.
STATEMENT_TIMEOUT, LOCK_TIMEOUT = "60s", "30s"


@contextmanager
def autocommit() -> Iterator[Connection]:
    """A connection on which every statement commits by itself; nobody gets it afterwards.

    Its locks and settings end with it. Only statements that block no one while they wait belong here.
    Raises DatabaseUnavailable without a server, or when a statement takes or waits too long.
    """
    with naming_outages(), engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()
        connection.execute(
            text(
                "SELECT set_config('statement_timeout', :statement, false),"
                " set_config('lock_timeout', :lock, false)"
            ),
            {"statement": STATEMENT_TIMEOUT, "lock": LOCK_TIMEOUT},
        )
        yield connection


@contextmanager
def long_transaction() -> Iterator[Connection]:
    """A `transaction` whose statements may read a whole day's rows; it waits for a lock as short as any other.

    It reads in one process: with parallel ones a count took every core, and whoever books waited for it.
    """
    with transaction() as connection:
        connection.execute(
            text(
                "SELECT set_config('statement_timeout', :limit, true),"
                " set_config('max_parallel_workers_per_gather', '0', true)"
            ),
            {"limit": STATEMENT_TIMEOUT},
        )
        yield connection
