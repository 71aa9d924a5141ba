"""A message is a row; what is still to do for it is a line in `outbox`."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Counter, CreatedAt


class Notification(Base):
    """One message to one passenger, partitioned by day on its UUIDv7 `id`.

    Written once, updated when claimed and when its outcome is known, dropped by the day.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        Index(None, "booking_reference", postgresql_where=text("booking_reference IS NOT NULL")),
        Index(None, "campaign_id", postgresql_where=text("campaign_id IS NOT NULL")),
        # A claim and a record must not touch an index: room on the page keeps those updates HOT.
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    campaign_id: Mapped[UUID | None]  # the bulk message that this is a chunk of
    status: Mapped[str]
    priority: Mapped[int]
    payload: Mapped[dict[str, Any]]  # the task's arguments; sealed for a sensitive kind, and wiped when final
    booking_reference: Mapped[str | None]  # what people search by
    subject: Mapped[str | None]  # with revision: a newer message of the same subject supersedes this one
    revision: Mapped[int | None]
    valid_until: Mapped[datetime]
    attempt: Mapped[Counter]
    not_before: Mapped[datetime | None]  # a retry waits until then
    lease_until: Mapped[datetime | None]  # set while a worker sends; past, that worker is gone
    unknown_attempts: Mapped[Counter]  # sends that got no answer
    pending_tokens: Mapped[list[str] | None]  # a push's tokens still to send
    sent_count: Mapped[Counter]
    failed_count: Mapped[Counter]
    provider_id: Mapped[str | None]
    reason: Mapped[str | None]  # why it was not sent, or not yet
    result: Mapped[dict[str, Any] | None]  # what the task returned
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]


class Outbox(Base):
    """This message still needs something by `due_at`; the line goes when the message is final."""

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "due_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    task: Mapped[str]
    queue: Mapped[str]
    priority: Mapped[int]
    due_at: Mapped[datetime]
    published_at: Mapped[datetime | None]  # None: not in the broker as far as we know
    attempt: Mapped[Counter]  # publishes


class IdempotencyKey(Base):
    """One key, one message: a task id that another program chose, or a key given with a request."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(primary_key=True)
    notification_id: Mapped[UUID]
    created_at: Mapped[CreatedAt]


class Campaign(Base):
    """A bulk message: `id` is that of its own row, its chunks are the rows that name it."""

    __tablename__ = "campaigns"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str]  # running, paused or cancelled
    total_users: Mapped[int]
    total_tokens: Mapped[int]  # as given: one that was given twice counts twice, and is sent to once
    created_at: Mapped[CreatedAt]


class Subject(Base):
    """What messages may be about, and the newest one's revision; held while one of them is being sent."""

    __tablename__ = "subjects"

    subject: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int]
    holder_id: Mapped[UUID | None]
    held_until: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
