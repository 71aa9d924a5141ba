"""The application's connections: those that the server has ended are not handed out, and statements commit."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest
from psycopg.errors import UndefinedTable
from sqlalchemy import text

from app.core.database import dispose, driver_of, engine, statement, transaction
from app.core.errors import DatabaseUnavailable
from app.core.prepared import Executes
from tests.connections import end, pid_of
from tests.house import House

PID = text("SELECT pg_backend_pid()")


def test_a_connection_that_the_server_has_ended_is_replaced_unseen(house: House) -> None:
    with transaction() as first, transaction() as second:
        pids = [first.scalar(PID), second.scalar(PID)]
    with psycopg.connect(house.environment["DATABASE_URL"], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s::int[]) AS pid", (pids,))
    with transaction() as first, transaction() as second:
        assert {first.scalar(PID), second.scalar(PID)}.isdisjoint(pids)


def test_news_of_a_setting_costs_no_connection(house: House) -> None:
    """A reload of the server's configuration is told to every client, on the socket that is looked at."""
    dispose()
    with transaction() as connection:
        pid = connection.scalar(PID)
    try:
        _set(house, "ALTER SYSTEM SET scram_iterations = 5000")
        with transaction() as connection:
            assert connection.scalar(PID) == pid
    finally:
        _set(house, "ALTER SYSTEM RESET ALL")


def test_a_statement_commits_by_itself() -> None:
    def held() -> int:
        with transaction() as connection:
            return int(connection.scalar(text("SELECT count(*) FROM subjects WHERE subject = 'alone'")) or 0)

    with statement() as driver:
        driver.execute("INSERT INTO subjects (subject, revision) VALUES ('alone', 1)", {})
        assert held() == 1
        driver.execute("DELETE FROM subjects WHERE subject = 'alone'", {})
        assert held() == 0


def test_the_drivers_statements_belong_to_the_transaction() -> None:
    with engine().connect() as connection:
        driver_of(connection).execute("INSERT INTO subjects (subject, revision) VALUES ('undone', 1)", {})
        assert connection.scalar(text("SELECT revision FROM subjects WHERE subject = 'undone'")) == 1
        connection.rollback()
        assert connection.scalar(text("SELECT revision FROM subjects WHERE subject = 'undone'")) is None


def _alone() -> AbstractContextManager[Executes]:
    return statement()


@contextmanager
def _in_a_transaction() -> Iterator[Executes]:
    with transaction() as connection:
        yield driver_of(connection)


@pytest.mark.parametrize("borrow", [_alone, _in_a_transaction])
def test_an_outage_during_a_statement_is_named(
    house: House, borrow: Callable[[], AbstractContextManager[Executes]], caplog: pytest.LogCaptureFixture
) -> None:
    def cut_off() -> None:
        with borrow() as driver:
            end(house, pid_of(driver))
            driver.execute("SELECT 1", {})

    with pytest.raises(DatabaseUnavailable):
        cut_off()
    with borrow() as driver:
        assert driver.execute("SELECT 1", {}).fetchone() == (1,)
    assert not caplog.records


def test_an_error_of_a_statement_leaves_the_connection_in_use() -> None:
    dispose()
    with statement() as driver:
        first = pid_of(driver)
    with pytest.raises(UndefinedTable), statement() as driver:
        driver.execute("SELECT FROM nothing", {})
    with statement() as driver:
        assert pid_of(driver) == first


def test_a_statement_that_was_broken_off_takes_its_connection_along() -> None:
    dispose()

    def break_off(*_: object) -> None:
        raise TimeLimit

    def wait() -> None:
        with statement() as driver:
            driver.execute("SELECT pg_sleep(9)", {})

    before = signal.signal(signal.SIGALRM, break_off)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(TimeLimit):
            wait()
    finally:
        signal.signal(signal.SIGALRM, before)
    with transaction() as connection:  # nobody has waited for the answer
        active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(9)'"
        assert connection.scalar(text(active)) == 1
    with statement() as driver:
        assert driver.execute("SELECT 1", {}).fetchone() == (1,)


class TimeLimit(Exception):
    """What a child that forks is told in the middle of whatever it does."""


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("statement_timeout = 10", "refused the work"),
        ("default_transaction_read_only = on", "takes no writes now"),
    ],
)
def test_a_database_that_does_not_do_it_now_is_named(setting: str, said: str) -> None:
    dispose()  # so that there is one connection
    with statement() as driver:
        driver.execute(f"SET {setting}", {})
    try:
        with pytest.raises(DatabaseUnavailable, match=said), statement() as driver:
            driver.execute("INSERT INTO subjects (subject, revision) SELECT 'slow', 1 FROM pg_sleep(2)", {})
    finally:
        dispose()


def _set(house: House, command: str) -> None:
    with psycopg.connect(house.postgres.url, autocommit=True) as superuser:
        superuser.execute(command)
        superuser.execute("SELECT pg_reload_conf()")
        superuser.execute("SELECT pg_sleep(0.2)")
