"""Writes many messages in few statements: rows and to-do lines, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

import orjson
from sqlalchemy import Connection, text

from app.notifications.store import NewMessage

#: Bytes of JSON in one statement: far fewer than make it slow, so many that its round trip counts for nothing.
BATCH_BYTES = 4_000_000

# JSON in one parameter, and not COPY: the database's own clock stands in the statement, as for a single message,
# and its errors are SQLAlchemy's.
_INSERT = text("""
    WITH given AS (
        SELECT * FROM json_to_recordset(CAST(:messages AS json)) AS message(
            id uuid, kind text, task text, queue text, priority bigint, payload jsonb, booking_reference text,
            subject text, validity json, pending_tokens jsonb, wait float8, campaign_id uuid)
    ), written AS (
        INSERT INTO notifications (id, kind, status, priority, payload, booking_reference, subject,
                                   valid_until, pending_tokens, not_before, campaign_id)
        SELECT id, kind, 'queued', priority, payload, booking_reference, subject,
               greatest((validity->>'until')::timestamptz,
                        clock_timestamp() + (validity->>'at_least')::interval),
               pending_tokens, clock_timestamp() + make_interval(secs => wait), campaign_id
        FROM given
        RETURNING id, not_before
    )
    INSERT INTO outbox (id, task, queue, priority, due_at)
    SELECT id, task, queue, priority, not_before FROM written JOIN given USING (id)
""")


def insert(connection: Connection, messages: Iterable[NewMessage]) -> None:
    """Write the messages and their to-do lines; the relay publishes them."""
    for batch in _batches(messages):
        connection.execute(_INSERT, {"messages": batch})


def _batches(messages: Iterable[NewMessage]) -> Iterator[str]:
    """JSON arrays of messages, each of about BATCH_BYTES."""
    batch: list[bytes] = []
    size = 0
    for message in messages:
        batch.append(orjson.dumps(message, default=_interval))
        size += len(batch[-1])
        if size >= BATCH_BYTES:
            yield _array(batch)
            batch, size = [], 0
    if batch:
        yield _array(batch)


def _array(items: list[bytes]) -> str:
    return (b"[" + b",".join(items) + b"]").decode()


def _interval(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds()} seconds"
    raise TypeError(f"{type(value).__name__} is no JSON")
