"""Connections for single statements: kept from one to the next, and given back to the pool in time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import cast

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.pool import QueuePool

from app.core import lending
from app.core.database import MOST, dispose, engine, statement, transaction
from app.core.errors import DatabaseUnavailable
from app.core.prepared import Driver
from tests.connections import end, pid_of
from tests.house import House, wait_until


@pytest.fixture(autouse=True)
def _fresh(house: House) -> Iterator[None]:
    dispose()
    yield
    dispose()


def pid() -> int:
    """Of the server's process that answers the next statement."""
    with statement() as driver:
        return pid_of(driver)


def lent() -> int:
    pool = engine().pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


def take(number: int) -> list[int]:
    """So many at once."""
    with ExitStack() as stack:
        return [pid_of(stack.enter_context(statement())) for _ in range(number)]


def test_statements_that_follow_each_other_ask_the_pool_once() -> None:
    asked = []
    event.listen(engine(), "checkout", lambda *_: asked.append(1))
    assert len({pid() for _ in range(20)}) == len(asked) == 1


def test_one_that_the_server_ended_while_it_lay_is_replaced_unseen(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = take(3)
    end(house, *before)
    monkeypatch.setattr(lending, "FRESH", 0.0)
    with statement() as driver:
        assert driver.execute("SELECT 1", {}).fetchone() == (1,)
        assert pid_of(driver) not in before


def test_one_that_is_lost_takes_the_others_along(house: House) -> None:
    before = take(3)
    end(house, *before)
    with pytest.raises(DatabaseUnavailable), statement() as driver:
        driver.execute("SELECT 1", {})
    assert set(take(3)).isdisjoint(before)


def test_a_crowd_gives_back_all_but_some() -> None:
    take(lending.KEPT + 3)
    assert lent() == lending.KEPT


def test_the_pools_last_one_is_not_kept() -> None:
    with ExitStack() as others:
        for _ in range(MOST - 1):
            others.enter_context(statement())
        with statement():
            assert lent() == MOST
        with transaction() as connection:  # who asks the pool itself waits for no kept one
            assert connection.scalar(text("SELECT 1")) == 1


def test_what_a_crowd_has_left_goes_back_as_it_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    take(4)
    monkeypatch.setattr(lending, "FRESH", 0.5)
    wait_until(lambda: pid() and lent() == 1, 10)


def test_none_is_lent_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "LENT_FOR", 0.0)
    asked = []
    event.listen(engine(), "checkout", lambda *_: asked.append(1))
    take(1)
    take(1)
    assert len(asked) == 2


def test_one_goes_back_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "KEPT", 0)
    before = pid()
    assert lent() == 0
    with transaction() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) == before
        assert not cast(Driver, connection.connection.driver_connection).autocommit


def test_all_are_closed_at_the_end(house: House) -> None:
    take(2)
    dispose()
    wait_until(lambda: not connections(house), 5)


def connections(house: House) -> int:
    with psycopg.connect(house.environment["DATABASE_URL"], autocommit=True) as other:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pafar'"
        [number] = other.execute(query).fetchone() or [0]
        return int(number)


def test_a_forked_child_leaves_its_parents_alone() -> None:
    own = pid()
    if not (child := os.fork()):
        try:
            os._exit(0 if pid() != own else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pid() == own
