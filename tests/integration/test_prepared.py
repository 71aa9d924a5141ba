"""Statements by libpq itself, as threads run them: nothing but the speed tells them from psycopg's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import UndefinedTable
from psycopg.types.json import Jsonb

from app.core import lending
from app.core.database import dispose, statement
from app.core.errors import DatabaseUnavailable
from tests.connections import end, in_a_thread, pid_of
from tests.house import House

pytestmark = pytest.mark.usefixtures("house")

GIVEN = {
    "id": UUID(int=7),
    "number": 2**40,
    "part": 1.5,
    "flag": True,
    "json": Jsonb({"é": [1, None]}),
    "words": 'ünï\\"\n',
    "none": None,
    "at": datetime(2026, 11, 28, 21, 7, tzinfo=UTC),
}
TYPES = """
    SELECT %(id)s::uuid, %(number)s::bigint, %(part)s::float8, %(flag)s::boolean, %(json)s::jsonb, %(words)s::text,
           %(none)s::text, %(at)s::timestamptz, %(number)s::bigint + 1
"""
INSERT = "INSERT INTO subjects (subject, revision) SELECT n::text, 1 FROM generate_series(1, %(rows)s::int) AS n"
PREPARED = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %(like)s"


def run(query: str, **values: Any) -> Any:
    with statement() as alone:
        return alone.execute(query, values).fetchone()


def test_values_come_and_go_as_with_psycopg() -> None:
    ours = in_a_thread(lambda: run(TYPES, **GIVEN))
    assert ours == run(TYPES, **GIVEN)
    assert [type(value) for value in ours] == [UUID, int, float, bool, dict, str, type(None), datetime, int]


def test_rows_are_had_one_by_one_and_those_written_are_counted() -> None:
    def write_and_read() -> list[Any]:
        with statement() as alone:
            wrote = alone.execute(INSERT, {"rows": 3})
            found = alone.execute("SELECT subject FROM subjects ORDER BY subject", {})
            return [wrote.rowcount, wrote.fetchone(), found.rowcount, *(found.fetchone() for _ in range(4))]

    assert in_a_thread(write_and_read) == [3, None, 3, ("1",), ("2",), ("3",), None]


def test_a_statement_is_prepared_once_for_as_long_as_its_connection_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    dispose()  # so that there is one connection
    monkeypatch.setattr(lending, "KEPT", 0)  # which goes back to the pool each time
    looked = [in_a_thread(lambda: run(PREPARED, like="%pg_prepared_statements%")) for _ in range(3)]
    assert looked == [(1,), (1,), (1,)]


def test_those_that_psycopg_had_deallocated_are_prepared_again_and_no_others() -> None:
    dispose()  # so that there is one connection
    first, second = "SELECT 'first'", "SELECT 'second'"
    in_a_thread(lambda: run(first))
    with statement() as alone:
        alone.execute("DEALLOCATE ALL", {})
    for query, found in ((second, "second"), (first, "first"), (second, "second")):
        assert in_a_thread(lambda: run(query)) == (found,)  # noqa: B023 - it is called at once


def test_an_error_has_its_class_and_leaves_the_connection_in_use() -> None:
    def too_long() -> None:
        with statement() as alone:
            alone.execute("SET statement_timeout = 10", {})
            alone.execute("SELECT pg_sleep(5)", {})

    dispose()
    before = in_a_thread(lambda: run("SELECT pg_backend_pid()"))
    with pytest.raises(UndefinedTable, match="nothing"):
        in_a_thread(lambda: run("SELECT FROM nothing"))
    with pytest.raises(DatabaseUnavailable, match="refused the work"):
        in_a_thread(too_long)
    assert in_a_thread(lambda: run("SELECT pg_backend_pid()")) == before
    dispose()  # that has another limit now


def test_an_outage_is_named_and_the_next_statement_has_another_connection(house: House) -> None:
    def cut_off() -> None:
        with statement() as alone:
            end(house, pid_of(alone))
            alone.execute("SELECT 1", {})

    with pytest.raises(DatabaseUnavailable):
        in_a_thread(cut_off)
    assert in_a_thread(lambda: run("SELECT 1")) == (1,)
