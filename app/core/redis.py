"""Redis or Valkey at REDIS_URL: sessions and statistics. The broker has connections of its own."""

from __future__ import annotations

import os
from functools import lru_cache

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.core.config import get_settings

#: Seconds: a server that hangs or vanished holds nobody for long.
CONNECT_TIMEOUT, REPLY_TIMEOUT, HEALTH_CHECK_INTERVAL = 2, 5, 10


@lru_cache
def client(*, retries: int = 1) -> Redis:
    """This process's client, safe for threads; values are bytes. Its calls raise redis.RedisError.

    `retries`: 0 for what must not be done twice, since a command without an answer may have been done.
    """
    return Redis.from_url(
        get_settings().redis_url,
        socket_connect_timeout=CONNECT_TIMEOUT,
        socket_timeout=REPLY_TIMEOUT,
        socket_keepalive=True,
        health_check_interval=HEALTH_CHECK_INTERVAL,
        # Once more, for a connection that the server closed while it was idle; not thrice, for one that hangs.
        retry=Retry(NoBackoff(), retries),
    )


# A child that shares its parent's connections would read its parent's answers.
os.register_at_fork(after_in_child=client.cache_clear)
