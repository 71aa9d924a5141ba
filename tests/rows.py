"""Looks at the rows behind the product's back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.core.database import transaction


def row(message_id: UUID | str | None) -> dict[str, Any] | None:
    """The message's row, None if there is none."""
    with transaction() as connection:
        found = connection.execute(text("SELECT * FROM notifications WHERE id = :id"), {"id": message_id})
        return next((dict(r._mapping) for r in found), None)


def rows() -> list[dict[str, Any]]:
    """All messages, oldest first."""
    with transaction() as connection:
        return [dict(r._mapping) for r in connection.execute(text("SELECT * FROM notifications ORDER BY id"))]


def to_do() -> list[dict[str, Any]]:
    """The outbox."""
    with transaction() as connection:
        return [dict(r._mapping) for r in connection.execute(text("SELECT * FROM outbox ORDER BY id"))]


def change(statement: str, **values: Any) -> None:
    """Change the database by hand."""
    with transaction() as connection:
        connection.execute(text(statement), values)


@contextmanager
def slow_updates(seconds: float) -> Iterator[None]:
    """Inside the block each UPDATE of messages takes so long, as one of very many does."""
    change(
        f"CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
        f" 'BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END'"
    )
    change("CREATE TRIGGER slow BEFORE UPDATE ON notifications FOR EACH STATEMENT EXECUTE FUNCTION wait()")
    try:
        yield
    finally:
        change("DROP FUNCTION wait CASCADE")


def due_again() -> None:
    """Whatever waits to be tried again waits no longer."""
    change("UPDATE notifications SET not_before = clock_timestamp()")
