"""What was sent of which there may be only so much."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt


class OtpSend(Base):
    """A one-time code that was let through to a number; forgotten after a day."""

    __tablename__ = "otp_sends"
    __table_args__ = (Index(None, "number", "created_at"),)

    notification_id: Mapped[UUID] = mapped_column(primary_key=True)  # so that a retry counts once
    number: Mapped[str]  # a keyed hash of it
    created_at: Mapped[CreatedAt]
