"""Beat's scheduler, which says in Redis that it is alive, and goes on without room for its file."""

from __future__ import annotations

import dbm.dumb
import errno
import shelve
import time
from collections.abc import MutableMapping
from typing import Any, Self, cast

import structlog
from celery.beat import PersistentScheduler
from celery.signals import beat_init
from redis.exceptions import RedisError

from app.core import redis
from app.core.config import get_settings
from app.core.errors import SettingsError
from app.core.startup import check_startup
from app.monitoring import keys

log = structlog.get_logger(__name__)

#: Seconds between two notes; between two looks at the schedule there are at most ten (beat_max_loop_interval).
INTERVAL = 5.0
#: What the system says of a write for which there is no room: the disk, the account's share of it, or ulimit -f.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@beat_init.connect
def _check(**_: Any) -> None:
    """Refuse to start with settings that can't work, in one message."""
    try:
        check_startup(get_settings())
    except SettingsError as error:
        raise SystemExit(str(error)) from None


class _InFiles(shelve.Shelf[Any]):
    """The schedule in one format, whatever Python is built with: each says in its own way that a disk is full."""

    @classmethod
    def open(cls, name: str, **_: Any) -> Self:
        """As `shelve.open`."""
        return cls(cast("MutableMapping[bytes, bytes]", dbm.dumb.open(name, "c")), writeback=True)


class _InMemory(shelve.Shelf[Any]):
    """A schedule that no start remembers."""

    @classmethod
    def open(cls, *_: Any, **__: Any) -> Self:
        """As `shelve.open`, without a file."""
        return cls({}, writeback=True)


class TellingScheduler(PersistentScheduler):
    """Celery's own, and each look at the schedule is noted: a beat that stands still is seen to.

    Its file says when each task last ran, which matters to the next start alone. So a full disk is no reason to
    start nothing: holds would keep their seats. Any other fault of the file ends beat, as with Celery's own.
    """

    persistence: type[shelve.Shelf[Any]] = _InFiles
    _store: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._told_at = 0.0
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Read the file; with no room for it, begin anew in memory."""
        try:
            super().setup_schedule()
        except OSError as error:
            _say_or_raise(error)
            self.persistence = _InMemory
            super().setup_schedule()

    def sync(self) -> None:
        """Write the file, or say why it could not be and try again at the next time."""
        try:
            super().sync()
        except OSError as error:
            self._store.writeback = True  # which a shelf forgets when a write fails, and would then write nothing
            _say_or_raise(error)

    def close(self) -> None:
        """Write the file for the last time."""
        try:
            super().close()
        except OSError as error:
            _say_or_raise(error)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Start what is due; returns the seconds until the next look."""
        wait: float = super().tick(*args, **kwargs)
        now = time.time()
        if abs(now - self._told_at) >= INTERVAL:
            self._told_at = now
            try:
                redis.client(retries=0).set(keys.BEAT, now)
            except RedisError as error:
                log.warning("beat's tick not noted", reason=type(error).__name__)
        return wait


def _say_or_raise(error: OSError) -> None:
    if error.errno not in NO_ROOM:
        raise error
    log.error("beat's schedule file not written", reason=error.strerror)
