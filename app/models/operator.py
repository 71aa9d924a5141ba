"""What operators did by a button, for whoever asks later."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt


class OperatorAction(Base):
    """One press of a button; written in the transaction that does what it says."""

    __tablename__ = "operator_actions"
    __table_args__ = (Index(None, "target"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    created_at: Mapped[CreatedAt]
    operator: Mapped[str]  # the name given with the key
    action: Mapped[str]  # replay, reveal, find, pause, resume or cancel
    target: Mapped[UUID | None]  # the message or campaign; None: a search found nothing
