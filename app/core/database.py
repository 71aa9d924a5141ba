"""PostgreSQL: one engine for each process, made at first use and never shared over a fork."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import orjson
import psycopg
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.types.json import set_json_dumps, set_json_loads
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from app.core.config import get_settings
from app.core.errors import DatabaseUnavailable, SettingsError
from app.core.lending import Lender
from app.core.prepared import Driver, Executes

#: Every wait has an end: a statement, a lock, a transaction left open, a server that vanished. Seconds for
#: connecting and keepalives, milliseconds for the rest.
CONNECT_ARGS: dict[str, str | int] = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "pafar",
    "options": (
        "-c timezone=UTC -c statement_timeout=10000 -c lock_timeout=5000"
        " -c idle_in_transaction_session_timeout=60000"
    ),
}

#: Connections of a process: while it idles, and a worker's threads at their busiest.
KEPT_OPEN, MOST = 5, 25

_lock = threading.Lock()
_engine: Engine | None = None
_lender: Lender | None = None


def engine() -> Engine:
    """This process's engine. Raises SettingsError without DATABASE_URL."""
    global _engine  # noqa: PLW0603 - one engine for each process is the point
    with _lock:
        if _engine is None:
            _engine = _create()
        return _engine


def _lending() -> Lender:
    global _lender  # noqa: PLW0603 - as the engine
    if (found := _lender) is not None:
        return found
    own = engine()
    with _lock:
        _lender = _lender or Lender(own, MOST)
        return _lender


def database_url() -> str:
    """DATABASE_URL as libpq reads it, whichever of its schemes was set. Raises SettingsError without one."""
    url = get_settings().database_url
    if url is None:
        raise SettingsError("DATABASE_URL is missing; e.g. postgresql://user:password@host:5432/pafar")
    _, _, rest = url.partition("://")
    return f"postgresql://{rest}"


def _create() -> Engine:
    set_json_dumps(orjson.dumps)
    set_json_loads(orjson.loads)
    created = create_engine(
        database_url().replace("postgresql:", "postgresql+psycopg:", 1),
        pool_size=KEPT_OPEN,
        max_overflow=MOST - KEPT_OPEN,
        pool_timeout=5,
        pool_recycle=1800,
        connect_args=CONNECT_ARGS,
        hide_parameters=True,  # parameters are names, addresses and codes
    )
    event.listen(created, "checkout", partial(_replace_if_ended, created))
    return created


def _replace_if_ended(
    created: Engine, connection: DBAPIConnection, _record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    """Don't hand out a connection that the server has ended: it has said so, and that lies on the socket.

    The pool's own ping asks the server each time, which is a round trip more for every transaction.
    """
    said = select.poll()
    said.register(cast(Driver, connection).fileno(), select.POLLIN)
    if not said.poll(0):
        return
    try:
        created.dialect.do_ping(connection)  # or was it only news of a setting?
    except created.dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError from error  # the others of that server's have ended too


def dispose() -> None:
    """Close this process's connections (at its end, or when a test changes DATABASE_URL)."""
    global _engine, _lender  # noqa: PLW0603
    with _lock:
        if _lender is not None:
            _lender.return_all()
        if _engine is not None:
            _engine.dispose()
        _engine = _lender = None


def _forget_after_fork() -> None:
    """Drop what the parent opened without closing it: of four children that shared a pool, three hung."""
    global _engine, _lender, _lock  # noqa: PLW0603
    _lock = threading.Lock()
    if _engine is not None:
        _engine.dispose(close=False)
    _engine = _lender = None


os.register_at_fork(after_in_child=_forget_after_fork)


@contextmanager
def transaction() -> Iterator[Connection]:
    """A connection in a transaction of its own, committed at the end of the block.

    Raises DatabaseUnavailable when the server can't be reached or went away; other database errors pass.
    """
    with naming_outages(), engine().begin() as connection:
        yield connection


@contextmanager
def statement() -> Iterator[Executes]:
    """A connection where each statement commits by itself: for the few that every message costs.

    Through SQLAlchemy one takes the worker's interpreter three times as long, and a transaction three round trips
    (docs/decisions.md). In the main thread a time limit or Ctrl-C can break it off. Raises as `transaction`.
    """
    with naming_outages():
        lender = _lending()
        lent = lender.borrow()
        try:
            yield lent.driver if threading.current_thread() is threading.main_thread() else lent.prepared
        finally:
            lender.give_back(lent)


def driver_of(connection: Connection) -> Executes:
    """The driver's connection, for the same statements in the connection's transaction."""
    return cast(Driver, connection.connection.driver_connection)


@contextmanager
def session() -> Iterator[Session]:
    """As `transaction`, for the ORM: `with session() as s: …` commits at the end."""
    with naming_outages(), sessionmaker(engine(), expire_on_commit=False).begin() as orm_session:
        yield orm_session


@contextmanager
def naming_outages() -> Iterator[None]:
    """Inside the block, an error that means "not now" is raised as DatabaseUnavailable; others pass."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable("all database connections are in use") from error
    except (OperationalError, psycopg.OperationalError) as error:
        raise DatabaseUnavailable("the database can't be reached or refused the work") from error
    except (DBAPIError, psycopg.Error) as error:
        own = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(own, ReadOnlySqlTransaction):  # a standby, or a server that ran out of room
            raise DatabaseUnavailable("the database takes no writes now") from error
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise DatabaseUnavailable("the database closed the connection") from error
        raise
