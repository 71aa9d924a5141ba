"""Our channels to Redis: a client is kept as long as the pool of connections that it takes from."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.celery_app import celery_app
from app.core.redis_channels import Transport


@pytest.mark.usefixtures("house")
def test_commands_share_a_client_until_the_connections_are_dropped() -> None:
    with celery_app.connection_for_write() as connection:
        assert type(connection.transport) is Transport
        channel: Any = connection.default_channel
        with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
            assert first is second
        channel._disconnect_pools()  # as after a fork, and when the broker was away
        with channel.conn_or_acquire() as third:
            assert third is not first
            assert third.ping()
