"""The phones that take pushes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id


class DeviceToken(Base):
    """One app on one phone, as FCM names it; `kind` says by token or, where FCM is going, installation id.

    `token` alone is unique: an installation id has 22 characters and no colon, a token has a colon after as many.
    """

    __tablename__ = "device_tokens"
    __table_args__ = (
        Index(None, "user_id"),
        CheckConstraint("kind IN ('token', 'fid')", name="kind"),
        CheckConstraint("platform IN ('android', 'ios', 'web')", name="platform"),
    )

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(server_default="token")
    token: Mapped[str] = mapped_column(unique=True)
    platform: Mapped[str]
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    created_at: Mapped[CreatedAt]
