"""Connections for single statements, which the pool lends for a while and not for each statement anew."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from psycopg.pq import TransactionStatus
from sqlalchemy import Engine
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from app.core.prepared import Driver, Prepared

#: Connections that stay lent between two statements: about as many as 32 threads use at once (docs/decisions.md).
KEPT = 10
#: Seconds unused after which the pool has to look whether the server has ended it meanwhile.
FRESH = 1.0
#: Seconds after which a connection goes back to the pool in any case, which closes old ones.
LENT_FOR = 30.0


@dataclass(slots=True)
class Lent:
    """A connection in autocommit: each statement is a transaction."""

    proxy: PoolProxiedConnection
    driver: Driver
    prepared: Prepared
    since: float  # time.monotonic()
    used: float


class Lender:
    """Lends an engine's connections to any number of threads; its pool has `most` of them."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine = engine
        self._most = most
        self._kept: deque[Lent] = deque()  # the last used is the first to be used again

    def borrow(self) -> Lent:
        """A connection that is well as far as one can tell without asking the server. Raises as the pool does."""
        now = time.monotonic()
        with suppress(IndexError):
            while True:
                lent = self._kept.pop()
                if now - lent.used < FRESH and now - lent.since < LENT_FOR:
                    return lent
                _return(lent)
        proxy = self._engine.raw_connection()
        driver = cast(Driver, proxy.driver_connection)
        driver.autocommit = True
        if (prepared := proxy.info.get(Prepared)) is None:  # once for as long as the connection lasts
            prepared = proxy.info[Prepared] = Prepared(driver)
        return Lent(proxy, driver, prepared, since=now, used=now)

    def give_back(self, lent: Lent) -> None:
        """Take back what was borrowed."""
        if lent.driver.pgconn.transaction_status != TransactionStatus.IDLE:
            lent.proxy.invalidate()  # lost, or broken off in the middle of a statement by a time limit
            self.return_all()  # the server may have ended these, too
            return
        lent.used = time.monotonic()
        self._kept.append(lent)
        with suppress(IndexError):  # others may have taken them all
            if len(self._kept) > KEPT or lent.used - self._kept[0].used > FRESH or self._is_wanted():
                _return(self._kept.popleft())

    def _is_wanted(self) -> bool:
        """Whether somebody may be waiting for the pool's last connection."""
        return cast(QueuePool, self._engine.pool).checkedout() >= self._most

    def return_all(self) -> None:
        """Give back to the pool what is not in use."""
        with suppress(IndexError):
            while True:
                _return(self._kept.pop())


def _return(lent: Lent) -> None:
    lent.driver.autocommit = False
    lent.proxy.close()
