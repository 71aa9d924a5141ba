"""Who answers on a connection, and how it is used by a pool's threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import psycopg

from app.core.prepared import Executes
from tests.house import House

T = TypeVar("T")


def pid_of(connection: Executes) -> int:
    """Of the server's process."""
    [pid] = connection.execute("SELECT pg_backend_pid()", {}).fetchone()
    return int(pid)


def end(house: House, *pids: int) -> None:
    """Have the server end them, and wait until they have."""
    with psycopg.connect(house.environment["DATABASE_URL"], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s::int[]) AS pid", (list(pids),))


def in_a_thread(call: Callable[[], T]) -> T:
    """What `call` returns, or raises, in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()
