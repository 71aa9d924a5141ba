"""Redis behind Sentinels, by nothing but the URL: the primary is killed at work, and a replica takes its place."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from sandbox.servers.valkey import ValkeyServer
from tests.brokers import HOST, PRIMARY, Replica, SentinelServer
from tests.house import House, wait_until
from tests.senders import accept_each, all_sent, taken
from tests.web import ask

SOON = 60.0


class Watched:
    """A primary, its replica, and three Sentinels that watch them."""

    def __init__(self, folder: Path, undo: ExitStack) -> None:
        self.primary = undo.enter_context(ValkeyServer(folder / "primary", durable=False))
        self.replica = undo.enter_context(Replica(folder / "replica", self.primary))
        self.sentinels = [
            undo.enter_context(SentinelServer(folder / f"sentinel{number}", self.primary)) for number in range(3)
        ]

    @property
    def environment(self) -> dict[str, str]:
        """The settings that lead there."""
        named = {"SENTINEL_MASTER": PRIMARY}
        for database, name in enumerate(("REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")):
            named[name] = ";".join(f"sentinel://{HOST}:{s.port}/{database}" for s in self.sentinels)
        return named

    def known_primary(self) -> int:
        """The port that a Sentinel gives to those who ask."""
        with redis.Redis(port=self.sentinels[0].port) as client:
            return int(client.sentinel_get_master_addr_by_name(PRIMARY)[1])


@pytest.fixture
def watched(house: House) -> Iterator[Watched]:
    with ExitStack() as undo:
        yield Watched(house.folder / "watched", undo)


def test_a_failover_loses_nothing_and_doubles_nothing(house: House, watched: Watched) -> None:
    with house.worker(**watched.environment) as worker, house.api(**watched.environment) as url:
        ids = accept_each(url, 10)
        watched.primary.kill()
        while watched.known_primary() != watched.replica.port:
            ids += accept_each(url)
            assert len(ids) < 3000, "no replica took the primary's place"
        ids += accept_each(url, 5)
        wait_until(all_sent, SOON)
        assert worker.poll() is None
        components = "broker", "redis", "workers"
        wait_until(lambda: all(healthy(url, name) for name in components), SOON)
    assert taken(house) == dict.fromkeys(ids, 1)


def test_a_sentinel_that_hangs_is_passed_over(house: House, watched: Watched) -> None:
    os.kill(watched.sentinels[0].pid, signal.SIGSTOP)
    try:
        with house.worker(**watched.environment), house.api(**watched.environment) as url:
            ids = accept_each(url, 2)
            wait_until(all_sent, SOON)
    finally:
        os.kill(watched.sentinels[0].pid, signal.SIGCONT)
    assert taken(house) == dict.fromkeys(ids, 1)


def healthy(url: str, component: str) -> bool:
    report = ask(f"{url}/health/tasks").json
    return bool(report["components"][component]["healthy"])
