"""Asks the database and Redis for what a page shows: an answer in time, or why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from psycopg.errors import QueryCanceled
from redis import RedisError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.core.database import transaction
from app.core.errors import DatabaseUnavailable, PafarError

T = TypeVar("T")

#: Seconds that a page waits for anybody: it comes within two.
LIMIT = 1.5
#: Milliseconds that a page's statement may take, so that the database is not left at work when nobody waits.
STATEMENT_LIMIT = 1200
#: The same two for what a button does, which may be the sending of many: whoever pressed it waits for that.
ACT_LIMIT, ACT_STATEMENT_LIMIT = 30.0, 25_000
#: Looks at one server that may hang at once.
THREADS = 4


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """`value`, or None and why in `away`."""

    value: T | None = None
    away: str | None = None


class Source:
    """A server that may hang. Its few threads hang with it, and who comes then is told so in `limit` seconds."""

    def __init__(self, name: str, *, limit: float = LIMIT) -> None:
        self._name = name
        self._limit = limit
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"page-{name}")

    async def ask(self, look: Callable[[], T]) -> Answer[T]:
        """What `look` returns; faults of our own are raised, those of the server are told."""
        return await self.within(asyncio.wrap_future(self._threads.submit(look)))

    async def within(self, looking: Awaitable[T]) -> Answer[T]:
        """The same for what is awaited by itself."""
        try:
            return Answer(await asyncio.wait_for(looking, self._limit))
        except TimeoutError:
            return Answer(away=f"{self._name} did not answer within {self._limit:g} s")
        except PafarError as error:
            return Answer(away=str(error))
        except RedisError:
            return Answer(away=f"{self._name} can't be reached or refused the work")


_DATABASE = Source("the database")
#: Of its own, so that pages come while buttons are at work.
_DEEDS = Source("the database", limit=ACT_LIMIT)
REDIS = Source("Redis")
BROKER = Source("the broker")
#: These ask several servers.
ALERTS = Source("the record of alerts")
HEALTH = Source("the health report")


async def from_database(look: Callable[[Connection], T]) -> Answer[T]:
    """What `look` reads in one transaction."""
    return await _DATABASE.ask(lambda: _within(STATEMENT_LIMIT, look))


async def in_database(act: Callable[[Connection], T]) -> Answer[T]:
    """What `act`, which somebody pressed a button for, does in one transaction."""
    return await _DEEDS.ask(lambda: _within(ACT_STATEMENT_LIMIT, act))


def _within(milliseconds: int, work: Callable[[Connection], T]) -> T:
    try:
        with transaction() as connection:
            connection.execute(text(f"SET LOCAL statement_timeout = {milliseconds}"))
            return work(connection)
    except DatabaseUnavailable as error:
        if isinstance(error.__cause__, DBAPIError) and isinstance(error.__cause__.orig, QueryCanceled):
            raise TooMuch(milliseconds) from error
        raise


class TooMuch(PafarError):
    """The database was still at it when nobody waited any more."""

    def __init__(self, milliseconds: int) -> None:
        took = f"the database had not done it after {milliseconds / 1000:g} s"
        super().__init__(f"{took}: ask for a shorter time, or for one booking")
