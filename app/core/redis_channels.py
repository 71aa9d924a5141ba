"""kombu's channels to Redis, which make one redis-py client for each connection pool, and not for each command.

A client fills a table of some 200 entries when it is made, and kombu makes one for every delivery,
acknowledgement and event: a fifth of the time that a worker's interpreter spends on a bare task.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis


class _OneClient(redis.Channel):
    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:  # kombu keeps that one itself
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # not in the stubs
        kept = self._kept
        if kept is None or kept.connection_pool is not self.pool:  # kombu makes a new pool after a fork or a loss
            kept = self._kept = super()._create_client()  # type: ignore[misc]
        return kept


class _OneSentinelClient(_OneClient, redis.SentinelChannel):
    pass


class Transport(redis.Transport):
    """For `redis://` and `rediss://`."""

    Channel = _OneClient


class SentinelTransport(redis.SentinelTransport):
    """For `sentinel://`."""

    Channel = _OneSentinelClient
