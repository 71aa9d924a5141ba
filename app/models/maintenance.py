"""What cleaning leaves behind: a line for every run, and how many messages there were before they went."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt


class CleanupRun(Base):
    """One run of a cleanup task; without `finished_at` it is under way, or was killed.

    `due_at` is when the schedule wanted it, or its start if it came sooner; `stopped`: its worker was asked to
    stop meanwhile, so that it may have left something to the next run.
    """

    __tablename__ = "cleanup_runs"
    __table_args__ = (Index(None, "task", "started_at"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    task: Mapped[str]
    due_at: Mapped[datetime]
    started_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]
    cleaned: Mapped[int | None]
    batches: Mapped[int | None]
    error: Mapped[str | None]
    stopped: Mapped[bool] = mapped_column(server_default=text("false"))
    next_due_at: Mapped[datetime]


class NotificationSummary(Base):
    """How many messages of a kind, accepted on a day (UTC), ended how; kept when the messages themselves go."""

    __tablename__ = "notification_summaries"

    day: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
