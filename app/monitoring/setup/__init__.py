"""Is this set-up usable, and how is what is wrong with it mended? Asks everything that must answer, once."""

from __future__ import annotations

from collections.abc import Iterator

from app.core.config import Settings
from app.monitoring.setup import database, local, redis, work
from app.monitoring.setup.findings import ERROR, OK, WARNING, Finding

__all__ = ["ERROR", "OK", "WARNING", "Finding", "examine"]


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, the most basic first. Takes seconds where something does not answer; never raises for it."""
    yield from local.examine(settings)
    yield from database.examine()
    broker = list(redis.broker())
    yield from broker
    yield from redis.others()
    yield from [work.NOT_ASKED] if broker[0].mend == redis.START else work.workers()
    yield from work.beat()
