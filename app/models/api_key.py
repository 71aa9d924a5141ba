"""Who may call the API, and as what. A key itself is nowhere: only its hash."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Identity
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt


class Role(StrEnum):
    """What a key is for."""

    PRODUCER = "producer"  #: a program: books, sends, asks how its messages stand
    OPERATOR = "operator"  #: a person, or what watches for one: everything, the pages and metrics too


class ApiKey(Base):
    """One key. A caller may have several of one name, so that a new one is in use before the old one ends."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    created_at: Mapped[CreatedAt]
    name: Mapped[str]  # of the caller
    role: Mapped[str]  # a Role
    hash: Mapped[bytes]  # SHA-256 of the whole key
    expires_at: Mapped[datetime | None]  # from then on it is refused; a revoked one's lies in the past
    last_used_at: Mapped[datetime | None]  # to about a minute
