"""Statements that are prepared and run by libpq itself, for the few that every message costs a pool's threads.

psycopg's own `execute` lets go of the interpreter several times for a statement, and each time another thread is
woken, often for nothing: of a text's CPU a tenth (docs/decisions.md). Types are converted by psycopg as ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, LiteralString, Protocol

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import InvalidSqlStatementName, error_from_result
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

#: What SQLAlchemy drives.
Driver = psycopg.Connection[Any]

_PARAMETER = re.compile(r"%\((\w+)\)s")
_names = count(1)


class Answer(Protocol):
    """What a statement found, or how many rows it wrote."""

    @property
    def rowcount(self) -> int:
        """Rows found or written."""

    def fetchone(self) -> Any:
        """The next row as a tuple, None after the last."""


class Executes(Protocol):
    """What runs statements whose parameters are named ("%(id)s"): a `Prepared`, or in a transaction the driver."""

    def execute(self, query: LiteralString, params: Mapping[str, Any], /) -> Answer:
        """Run one. Raises psycopg.Error."""


class Prepared:
    """A connection in autocommit. A parameter's type is what the query makes of it: cast where that is open."""

    def __init__(self, driver: Driver) -> None:
        self._connection = driver.pgconn
        self._known: set[bytes] = set()
        self._types = Transformer(driver)

    def execute(self, query: LiteralString, params: Mapping[str, Any], /) -> Answer:
        """Run a statement; its named parameters are taken from `params`. Raises psycopg.Error.

        No signal breaks it off, so it is not for the main thread.
        """
        statement = _parsed(query)
        formats = [PyFormat.TEXT] * len(statement.parameters)
        given = self._types.dump_sequence([params[name] for name in statement.parameters], formats)
        try:
            return self._answer(statement, given)
        except InvalidSqlStatementName:  # psycopg has had all deallocated, as it does after a ROLLBACK
            self._known.discard(statement.name)  # others may have been prepared since
            return self._answer(statement, given)

    def _answer(self, statement: _Statement, given: Any) -> Answer:
        if statement.name not in self._known:
            _raise_error_of(self._connection.prepare(statement.name, statement.query))
            self._known.add(statement.name)
        result = self._connection.exec_prepared(statement.name, given)
        _raise_error_of(result)
        self._types.set_pgresult(result)
        return _Answer(result.command_tuples or 0, self._types.load_rows(0, result.ntuples, tuple))


@dataclass(frozen=True, slots=True)
class _Statement:
    name: bytes
    query: bytes
    parameters: tuple[str, ...]


@dataclass(slots=True)
class _Answer:
    rowcount: int
    _rows: list[tuple[Any, ...]]

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None


@cache  # queries are constants
def _parsed(query: LiteralString) -> _Statement:
    parameters = tuple(dict.fromkeys(_PARAMETER.findall(query)))
    numbered = _PARAMETER.sub(lambda found: f"${parameters.index(found[1]) + 1}", query)
    return _Statement(f"pafar_{next(_names)}".encode(), numbered.encode(), parameters)


def _raise_error_of(result: PGresult) -> None:
    if result.status in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
        return
    if not result.error_field(DiagnosticField.SQLSTATE):  # libpq says it, not the server: the connection is lost
        raise psycopg.OperationalError(result.get_error_message())
    raise error_from_result(result)
