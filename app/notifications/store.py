"""Every statement on messages and their to-do list. Deadlines are by the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.prepared import Executes
from app.messages.base import Validity
from app.notifications.outcome import Postponed
from app.notifications.status import Status

#: Seconds a worker may hold a message. Longer than a send may take, short enough that a killed worker's
#: message goes out within half a minute.
LEASE = 25.0
#: Seconds after which a published wake-up that nobody took is looked at.
GRACE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A validated message to be written."""

    id: UUID
    kind: str
    task: str
    queue: str
    priority: int
    payload: dict[str, Any]
    booking_reference: str | None
    subject: str | None
    validity: Validity
    pending_tokens: list[str] | None
    wait: float  # seconds before its first attempt
    campaign_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this worker holds until the lease runs out, and under this attempt number.

    Its fields are the columns of `_CLAIM`, in their order.
    """

    id: UUID
    kind: str
    campaign_id: UUID | None
    payload: dict[str, Any]
    attempt: int
    subject: str | None
    revision: int | None
    valid_until: datetime
    pending_tokens: list[str] | None
    sent_count: int
    failed_count: int
    unknown_attempts: int
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a message stands that could not be claimed."""

    status: Status
    reason: str | None
    result: dict[str, Any] | None


_INSERT = text("""
    WITH written AS (
        INSERT INTO notifications (id, kind, status, priority, payload, booking_reference, subject,
                                   valid_until, pending_tokens, not_before)
        VALUES (:id, :kind, 'queued', :priority, :payload, :booking_reference, :subject,
                greatest(CAST(:until AS timestamptz), clock_timestamp() + :at_least),
                :pending_tokens, clock_timestamp() + make_interval(secs => :wait))
        ON CONFLICT (id) DO NOTHING
        RETURNING id, not_before
    )
    INSERT INTO outbox (id, task, queue, priority, due_at, published_at)
    SELECT id, :task, :queue, :priority, not_before + make_interval(secs => :grace),
           CASE WHEN :published THEN clock_timestamp() END
    FROM written
    RETURNING extract(epoch FROM clock_timestamp())::float8
""").bindparams(bindparam("payload", type_=JSONB), bindparam("pending_tokens", type_=JSONB(none_as_null=True)))


def insert(connection: Connection, message: NewMessage, *, published: bool) -> float | None:
    """Write the message and its to-do line; the database's time (seconds since 1970), None if it was there.

    `published` says that the caller publishes it right after the commit; without, the relay does, at once.
    """
    row = {name: getattr(message, name) for name in message.__slots__}
    grace = GRACE if published else 0.0
    until = {"until": message.validity.until, "at_least": message.validity.at_least}
    at: float | None = connection.scalar(_INSERT, row | until | {"published": published, "grace": grace})
    return at


_CLAIM = """
    WITH claimed AS (
        UPDATE notifications
        SET status = 'sending', attempt = attempt + 1,
            -- A lease that is still set was never given back: its worker died or hangs, outcome unknown.
            unknown_attempts = unknown_attempts + (lease_until IS NOT NULL)::int,
            lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
        WHERE id = %(id)s
          AND (status = 'queued' AND not_before <= clock_timestamp()
               OR status = 'sending' AND lease_until <= clock_timestamp())
        RETURNING id, kind, campaign_id, payload, attempt, subject, revision, valid_until, pending_tokens,
                  sent_count, failed_count, unknown_attempts, lease_until
    ), watched AS (
        -- Nothing waits in the broker for it any more: when the lease runs out, publish without looking.
        UPDATE outbox SET due_at = claimed.lease_until, published_at = NULL
        FROM claimed WHERE outbox.id = claimed.id
    )
    SELECT id, kind, campaign_id, payload, attempt, subject, revision, valid_until, pending_tokens,
           sent_count, failed_count, unknown_attempts, clock_timestamp() AS now
    FROM claimed
"""


def claim(connection: Executes, message_id: UUID) -> Claim | None:
    """Take the message for LEASE seconds; None if it is final, held by another, or not yet due."""
    row = connection.execute(_CLAIM, {"id": message_id, "lease": LEASE}).fetchone()
    return Claim(*row) if row else None


def standing(connection: Connection, message_id: UUID) -> Standing | None:
    """How the message stands; None if there is no such row."""
    row = connection.execute(
        text("SELECT status, reason, result FROM notifications WHERE id = :id"), {"id": message_id}
    ).one_or_none()
    return Standing(status=Status(row.status), reason=row.reason, result=row.result) if row else None


# An attempt that comes back after its lease was given to another finds a higher number and writes nothing.
_FINISH = """
    WITH finished AS (
        UPDATE notifications
        SET status = %(status)s, reason = %(reason)s, result = %(result)s, provider_id = %(provider_id)s,
            sent_count = sent_count + %(sent_count)s, failed_count = failed_count + %(failed_count)s,
            unknown_attempts = unknown_attempts + %(unknown)s::boolean::int,
            payload = CASE WHEN %(wipe)s THEN '{}' ELSE payload END,
            -- a failed push may be replayed, to those who have not got it
            pending_tokens = CASE WHEN %(keep_tokens)s THEN pending_tokens END,
            lease_until = NULL, finished_at = clock_timestamp()
        WHERE id = %(id)s AND attempt = %(attempt)s AND status = 'sending'
        RETURNING id
    )
    DELETE FROM outbox USING finished WHERE outbox.id = finished.id
"""


def finish(connection: Executes, held: Claim, status: Status, *, wipe: bool, **what: Any) -> bool:
    """Write a final status under the claim's attempt number; False if another attempt has taken over.

    `wipe` leaves nothing of the payload.
    """
    blank = {
        "reason": None,
        "provider_id": None,
        "sent_count": 0,
        "failed_count": 0,
        "unknown": False,
    }
    values = blank | what | {"id": held.id, "attempt": held.attempt, "status": status, "wipe": wipe}
    values |= {"result": _json(what.get("result")), "keep_tokens": status is Status.FAILED}
    return connection.execute(_FINISH, values).rowcount == 1


_POSTPONE = """
    WITH postponed AS (
        UPDATE notifications
        SET status = 'queued', reason = %(reason)s, lease_until = NULL,
            not_before = clock_timestamp() + make_interval(secs => %(wait)s),
            unknown_attempts = unknown_attempts + %(unknown)s::boolean::int,
            sent_count = sent_count + %(sent_count)s, failed_count = failed_count + %(failed_count)s,
            pending_tokens = coalesce(%(pending_tokens)s, pending_tokens)
        WHERE id = %(id)s AND attempt = %(attempt)s AND status = 'sending'
        RETURNING id, not_before
    )
    UPDATE outbox SET due_at = postponed.not_before, published_at = NULL
    FROM postponed WHERE outbox.id = postponed.id
"""


def postpone(connection: Executes, held: Claim, outcome: Postponed) -> bool:
    """Give the message back, to be published when its wait is over; False if another attempt has taken over."""
    values = {name: getattr(outcome, name) for name in outcome.__slots__}
    values |= {"id": held.id, "attempt": held.attempt, "pending_tokens": _json(outcome.pending_tokens)}
    return connection.execute(_POSTPONE, values).rowcount == 1


def _json(value: object) -> Jsonb | None:
    return None if value is None else Jsonb(value)
