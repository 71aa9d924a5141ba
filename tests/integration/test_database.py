"""The application's connections: those that the server has ended are not handed out, and statements commit."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import text

from app.core.database import dispose, statement, transaction
from app.core.errors import DatabaseUnavailable
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

    with statement() as connection:
        connection.execute(text("INSERT INTO subjects (subject, revision) VALUES ('alone', 1)"))
        assert held() == 1
        connection.execute(text("DELETE FROM subjects WHERE subject = 'alone'"))
        assert held() == 0
    with transaction() as connection:  # and the connection goes back as it came
        assert connection.get_isolation_level() == "READ COMMITTED"


def test_an_outage_during_a_statement_is_named(house: House) -> None:
    def cut_off() -> None:
        with statement() as connection:
            _end(house, connection.scalar(PID))
            connection.execute(PID)

    with pytest.raises(DatabaseUnavailable):
        cut_off()
    with statement() as connection:
        assert connection.scalar(PID)


def _set(house: House, command: str) -> None:
    with psycopg.connect(house.postgres.url, autocommit=True) as superuser:
        superuser.execute(command)
        superuser.execute("SELECT pg_reload_conf()")
        superuser.execute("SELECT pg_sleep(0.2)")


def _end(house: House, pid: int | None) -> None:
    with psycopg.connect(house.environment["DATABASE_URL"], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
