"""Real servers for the tests, started once by each process that runs them; nothing need be installed by hand."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from app.core import migrations, redis
from app.core.broker import broker
from app.core.config import get_settings
from app.notifications import circuit
from app.providers import registry
from app.providers.memory import MemoryPush, MemorySms
from sandbox.servers.postgres import PostgresServer
from sandbox.servers.valkey import ValkeyServer
from sandbox.standins.ledger import Ledger
from sandbox.standins.tls import Authority
from tests.house import House

_house: House


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--approve", action="store_true", help="write what messages say to tests/approved")


def pytest_configure(config: pytest.Config) -> None:
    global _house  # noqa: PLW0603 - one house for each process that runs tests
    if getattr(config.option, "numprocesses", None):
        return  # this one only hands out files to others
    _house = House()
    config.add_cleanup(_house.stop)
    os.environ.update(_house.environment)
    migrations.upgrade()


@pytest.fixture(scope="session")
def whole_house() -> House:
    return _house


@pytest.fixture
def house(whole_house: House) -> Iterator[House]:
    """The house, empty; nobody works in it unless the test asks for `worker` too.

    This process remembers no trouble with the broker or a provider, and forgets a test's doubles.
    """
    whole_house.clean()
    broker.breaker.succeeded()
    circuit.close_all()
    yield whole_house
    circuit.close_all()
    registry.close()


@pytest.fixture
def gateway(house: House) -> MemorySms:
    """The SMS provider of this process; workers have their own."""
    double = MemorySms()
    registry.install("sms", double)
    return double


@pytest.fixture
def fcm(house: House) -> MemoryPush:
    """The push provider of this process."""
    double = MemoryPush()
    registry.install("push", double)
    return double


@pytest.fixture(scope="module")
def _module_worker(whole_house: House) -> Iterator[subprocess.Popen[bytes]]:
    whole_house.clean()
    with whole_house.worker() as process:
        yield process


@pytest.fixture
def worker(_module_worker: subprocess.Popen[bytes], house: House) -> subprocess.Popen[bytes]:
    """A worker started by the literal command of the documentation: no -Q, all queues."""
    return _module_worker


@pytest.fixture(scope="session")
def postgres(whole_house: House) -> PostgresServer:
    return whole_house.postgres


@pytest.fixture(scope="session")
def valkey(whole_house: House) -> ValkeyServer:
    return whole_house.valkey


@pytest.fixture(scope="session")
def authority(whole_house: House) -> Authority:
    return whole_house.authority


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    book = Ledger()
    yield book
    book.close()


@pytest.fixture
def redis_server(whole_house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    """A server at REDIS_URL that a test may stop or freeze; the broker is still the house's."""

    def forget() -> None:
        get_settings.cache_clear()
        redis.client.cache_clear()

    with ValkeyServer(whole_house.folder / "redis", durable=False) as server:
        monkeypatch.setenv("REDIS_URL", f"{server.url}/0")
        forget()
        yield server
    monkeypatch.undo()
    forget()
