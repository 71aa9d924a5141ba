"""How the alerts stand: one row, for they are judged together."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Counter


class AlertState(Base):
    """The only row says who judges now and what was found last; Redis has a copy (app/monitoring/alerts/homes)."""

    __tablename__ = "alert_state"
    __table_args__ = (CheckConstraint("id = 1", name="only_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    busy_until: Mapped[datetime]  # nobody else judges before
    revision: Mapped[Counter]  # the higher one is the newer
    document: Mapped[dict[str, Any]]
