"""The whole health report comes in time and names what is broken, whichever server is dead, frozen or slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.core.broker import Broker
from app.monitoring import checks
from app.utils.task_monitoring import health_checker
from tests.alerting import forget
from tests.faults.proxy import FaultProxy
from tests.house import House, wait_until
from tests.tasks import SOON
from tests.web import ask

#: What the contract allows, and what two busy cores may add until a thread whose time is up has its turn.
IN_TIME = 2.0 + 1.5
#: Seconds by which a slow server's every piece is late, both ways: one round trip fits into a look, two don't.
LATE = 0.3

SETTINGS = {"database": "DATABASE_URL", "broker": "CELERY_BROKER_URL", "redis": "REDIS_URL"}
FAULTS: dict[str, Callable[[FaultProxy], None]] = {
    "dead": FaultProxy.refuse,
    "frozen": FaultProxy.silence,
    "slow": lambda proxy: proxy.delay(LATE),
}
#: How each component that needs the server says that it can't be read.
WORDS = {"database": "PostgreSQL ", "broker": "The broker ", "redis": "Redis "}
BLIND = {
    "database": {"database", "relay", "cleanup"},
    "broker": {"broker", "queues"},
    "redis": {"redis", "workers", "failure_rate", "beat", "canary", "providers"},
}

Report = Callable[[], dict[str, Any]]


class Ways:
    """The proxies before the three servers, and the two ways to ask for the report behind them."""

    def __init__(self, proxies: dict[str, FaultProxy], url: str) -> None:
        self.proxies = proxies
        self.reports: dict[str, Report] = {
            "called": lambda: asyncio.run(health_checker.get_comprehensive_health_report()),
            "GET /health/tasks": lambda: ask(f"{url}/health/tasks").json,
        }

    def all_is_back(self) -> bool:
        """Whether both ways call all three servers well."""
        return not any(SETTINGS.keys() & unwell(report()) for report in self.reports.values())


def unwell(report: dict[str, Any]) -> set[str]:
    return {name for name, check in report["components"].items() if not check["healthy"]}


@pytest.fixture(scope="module")
def ways(whole_house: House) -> Iterator[Ways]:
    with ExitStack() as stack:
        settings = stack.enter_context(pytest.MonkeyPatch.context())
        proxies = {}
        for server, name in SETTINGS.items():
            url = whole_house.environment[name]
            port = urlsplit(url).port or 0
            proxies[server] = stack.enter_context(FaultProxy(port))
            settings.setenv(name, url.replace(f":{port}/", f":{proxies[server].port}/"))
        forget()
        fresh = Broker(
            connect_timeout=0.5, reply_timeout=0.8, cool_down=0.0
        )  # the other's pool has its connections
        settings.setattr(checks, "_broker", fresh)
        yield Ways(proxies, stack.enter_context(whole_house.api()))
    forget()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("server", SETTINGS)
def test_the_report_comes_in_time_and_names_the_server(ways: Ways, server: str, fault: str) -> None:
    wait_until(ways.all_is_back, SOON)  # and the connections are there, to be hurt with the server
    proxy = ways.proxies[server]
    FAULTS[fault](proxy)
    try:
        for way, report in list(ways.reports.items()) * 2:  # once more, with what hangs from before
            began = time.monotonic()
            found = report()
            took = time.monotonic() - began
            assert took < IN_TIME, way
            assert not (SETTINGS.keys() - {server}) & unwell(found), way
            if fault != "slow":
                assert BLIND[server] <= unwell(found), way
                told = [found["components"][name]["message"] for name in BLIND[server]]
                assert all(message.startswith(WORDS[server]) for message in told), told
    finally:
        proxy.heal()
