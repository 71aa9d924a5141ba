"""What a cleaning did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Cleaned:
    """`count` rows older than `cutoff` (UTC) went, or would have gone."""

    count: int
    cutoff: datetime


def cutoff(connection: Connection, keep: timedelta) -> datetime:
    """The moment `keep` ago by the database's clock, UTC."""
    moment: datetime = connection.execute(text("SELECT clock_timestamp() - :keep"), {"keep": keep}).scalar_one()
    return moment
