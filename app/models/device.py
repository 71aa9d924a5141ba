"""The phones that take pushes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id


class DeviceToken(Base):
    """One app on one phone, as FCM names it; `kind` says by token or, where FCM is going, installation id."""

    __tablename__ = "device_tokens"
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(server_default="token")
    token: Mapped[str] = mapped_column(unique=True)
    platform: Mapped[str]
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    created_at: Mapped[CreatedAt]
