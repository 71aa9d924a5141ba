"""Every statement on campaigns and their chunks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.types import Uuid

from app.core.errors import PafarError
from app.notifications.status import FINAL

#: Chunks of a campaign under way at once: 3,000 tokens fill the connections to FCM, and are sent within their
#: deadline even at 150 a second; most threads of a plain worker stay free for what is more urgent.
WINDOW = 6


class State(StrEnum):
    """What an operator wants of a campaign."""

    RUNNING = "running"  #: chunks are let go
    PAUSED = "paused"  #: none is, until it is resumed or loses its point
    CANCELLED = "cancelled"  #: none ever will be


class NoSuchCampaign(PafarError):
    """There is no campaign with this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How a campaign stands. Tokens as given: success + failure + waiting = total; chunks by where they stand."""

    id: UUID
    state: State
    finished: bool
    total_users: int
    total_tokens: int
    success_count: int
    failure_count: int
    waiting_count: int
    chunks_held: int
    chunks_under_way: int
    skipped: str | None  # why a chunk was, if one was
    failed: str | None
    created_at: datetime
    finished_at: datetime | None


def insert(connection: Connection, campaign_id: UUID, *, users: int, tokens: int) -> None:
    """Note a campaign that runs; its own row and its chunks are messages."""
    connection.execute(
        text("INSERT INTO campaigns (id, state, total_users, total_tokens) VALUES (:id, :state, :users, :tokens)"),
        {"id": campaign_id, "state": State.RUNNING, "users": users, "tokens": tokens},
    )


def state(connection: Connection, campaign_id: UUID) -> State:
    """What is wanted of the campaign now."""
    found = connection.scalar(text("SELECT state FROM campaigns WHERE id = :id"), {"id": campaign_id})
    return State(found)


# A chunk that is held has no turn before it has lost its point: left alone for good, it ends as expired.
_HELD = "status = 'queued' AND not_before >= valid_until"
_UNDER_WAY = "(status = 'sending' OR status = 'queued' AND not_before < valid_until)"

_PROGRESS = text(f"""
    WITH chunks AS (
        SELECT coalesce(sum(sent_count), 0)::bigint AS success_count,
               coalesce(sum((payload->>'token_count')::bigint - sent_count)
                        FILTER (WHERE status = ANY(:final)), 0)::bigint AS failure_count,
               count(*) FILTER (WHERE {_HELD}) AS chunks_held,
               count(*) FILTER (WHERE {_UNDER_WAY}) AS chunks_under_way,
               max(reason) FILTER (WHERE status = 'skipped') AS skipped,
               max(reason) FILTER (WHERE status IN ('failed', 'unknown')) AS failed
        FROM notifications WHERE campaign_id = :id
    )
    SELECT campaigns.id, state, status = ANY(:final) AS finished, total_users, total_tokens, chunks.*,
           total_tokens - success_count - failure_count AS waiting_count, campaigns.created_at, finished_at
    FROM chunks, campaigns JOIN notifications AS own USING (id)
    WHERE campaigns.id = :id
""").columns(id=Uuid)  # noqa: S608 - made of constants


def progress(connection: Connection, campaign_id: UUID) -> Progress:
    """How the campaign stands. Raises NoSuchCampaign."""
    row = connection.execute(_PROGRESS, {"id": campaign_id, "final": list(FINAL)}).one_or_none()
    if row is None:
        raise NoSuchCampaign(f"there is no campaign {campaign_id}")
    return Progress(**{**row._mapping, "state": State(row.state)})


# Of two chunks that end at once, each lets another one go; a window that is too large by one does no harm.
_LET_GO = text(f"""
    WITH gone AS (
        UPDATE notifications SET not_before = clock_timestamp(), reason = NULL
        WHERE id IN (
            SELECT id FROM notifications
            WHERE campaign_id = :id AND {_HELD}
              AND EXISTS (SELECT FROM campaigns WHERE campaigns.id = :id AND state = 'running')
            ORDER BY id
            LIMIT greatest(0, :window - (SELECT count(*) FROM notifications
                                         WHERE campaign_id = :id AND {_UNDER_WAY}))
            FOR UPDATE SKIP LOCKED
        )
        RETURNING id
    )
    UPDATE outbox SET due_at = clock_timestamp(), published_at = NULL FROM gone WHERE outbox.id = gone.id
""")  # noqa: S608 - made of constants


def let_go(connection: Connection, campaign_id: UUID) -> None:
    """Have as many chunks under way as the window takes, if the campaign runs."""
    connection.execute(_LET_GO, {"id": campaign_id, "window": WINDOW})


_DROP = text(f"""
    WITH dropped AS (
        UPDATE notifications
        SET status = 'skipped', reason = :reason, pending_tokens = NULL, finished_at = clock_timestamp()
        WHERE campaign_id = :id AND {_HELD}
        RETURNING id
    )
    DELETE FROM outbox USING dropped WHERE outbox.id = dropped.id
""")  # noqa: S608 - made of constants


def drop_held(connection: Connection, campaign_id: UUID) -> None:
    """End the chunks that are held: they will never be sent."""
    connection.execute(_DROP, {"id": campaign_id, "reason": State.CANCELLED})


_CHANGE = text("""
    WITH campaign AS (
        UPDATE campaigns SET state = :state WHERE id = :id RETURNING id
    ), own AS (
        UPDATE notifications SET not_before = clock_timestamp()
        FROM campaign WHERE notifications.id = campaign.id AND status = 'queued'
        RETURNING notifications.id
    )
    UPDATE outbox SET due_at = clock_timestamp(), published_at = NULL FROM own WHERE outbox.id = own.id
""")


def change(connection: Connection, campaign_id: UUID, state: State) -> None:
    """Want `state` from now on, and have the campaign look at its chunks at once."""
    connection.execute(_CHANGE, {"id": campaign_id, "state": state})
