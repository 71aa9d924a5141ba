"""What the rules judge: a few figures of the house at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The servers, as sentences begin with them.
DATABASE, BROKER, REDIS = "PostgreSQL", "The broker", "Redis"


@dataclass(frozen=True, slots=True)
class Share:
    """`bad` of `total`."""

    bad: int
    total: int

    @property
    def percent(self) -> float:
        """How much of the whole is bad; 0.0 of nothing."""
        return 100 * self.bad / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Ages in seconds, by queue where there are several; infinite for what never came. None: not known now."""

    unhealthy: Mapping[str, str] = field(default_factory=dict)  # server → what it does not do
    workers: int | None = None  # that are there
    queue_lengths: Mapping[str, int] | None = None
    queue_ages: Mapping[str, float] | None = None  # of the oldest message, where one waits
    canary_ages: Mapping[str, float] | None = None  # since one last came through
    beat_age: float | None = None  # since its last tick
    open_breakers: frozenset[str] | None = None  # channels whose provider is left alone
    failed_tasks: Share | None = None  # of the last hour
    dead_letters: int | None = None  # failed for good in the last hour, and not sent since
    late_codes: Share | None = None  # one-time codes of the last quarter of an hour
    overdue_cleanups: frozenset[str] | None = None  # that have not succeeded since they were due
    disk_free: Mapping[str, float] | None = None  # host → percent of the disk with TEMP_DIR
