"""Redis or Valkey at REDIS_URL: sessions and statistics. The broker has connections of its own."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from app.core.config import get_settings

#: Seconds: a server that hangs or vanished holds nobody for long.
CONNECT_TIMEOUT, REPLY_TIMEOUT, HEALTH_CHECK_INTERVAL = 2, 5, 10


def sentinels(url: str) -> list[tuple[str, int]]:
    """(host, port) of each Sentinel that a sentinel:// URL names; empty for a server's own URL."""
    if not url.startswith("sentinel"):
        return []
    parts = [urlsplit(part) for part in url.split(";")]
    return [(str(part.hostname), int(part.port or 0)) for part in parts]


def tls(url: str) -> dict[str, Any]:
    """redis-py's arguments for a rediss:// URL, which kombu and Celery pass on; empty for another.

    A certificate is always verified: by the system's authorities, and by TLS_CA_FILE's where it is set.
    """
    if not url.startswith("rediss"):
        return {}
    ca_file = get_settings().tls_ca_file
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, **({"ssl_ca_certs": str(ca_file)} if ca_file else {})}


def patience(connect: float, reply: float) -> dict[str, Any]:
    """redis-py's arguments for asking a Sentinel, in seconds: the next one is asked, not the same again."""
    return {"socket_connect_timeout": connect, "socket_timeout": reply, "retry": Retry(NoBackoff(), 0)}


@lru_cache
def client(*, retries: int = 1) -> Redis:
    """This process's client, safe for threads; values are bytes. Its calls raise redis.RedisError.

    `retries`: 0 for what must not be done twice, since a command without an answer may have been done.
    """
    url, primary = get_settings().redis_url, get_settings().sentinel_master
    options: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_timeout": REPLY_TIMEOUT,
        "socket_keepalive": True,
        "health_check_interval": HEALTH_CHECK_INTERVAL,
        # Once more, for a connection that the server closed while it was idle; not thrice, for one that hangs.
        "retry": Retry(NoBackoff(), retries),
    }
    if not (known := sentinels(url)):
        return Redis.from_url(url, **options, **tls(url))
    first = urlsplit(url.partition(";")[0])
    login = {"username": unquote(first.username or "") or None, "password": unquote(first.password or "") or None}
    asked: Any = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types there
        known, sentinel_kwargs=patience(CONNECT_TIMEOUT, CONNECT_TIMEOUT), **options
    )
    found: Redis = asked.master_for(primary, db=int(first.path.strip("/")), **login)
    return found


# A child that shares its parent's connections would read its parent's answers.
os.register_at_fork(after_in_child=client.cache_clear)
