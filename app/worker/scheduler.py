"""Beat's scheduler, which says in Redis that it is alive."""

from __future__ import annotations

import time
from typing import Any

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


@beat_init.connect
def _check(**_: Any) -> None:
    """Refuse to start with settings that can't work, in one message."""
    try:
        check_startup(get_settings())
    except SettingsError as error:
        raise SystemExit(str(error)) from None


class TellingScheduler(PersistentScheduler):
    """Celery's own, and each look at the schedule is noted: a beat that stands still is seen to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._told_at = 0.0
        super().__init__(*args, **kwargs)

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
