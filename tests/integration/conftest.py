"""What several integration tests share: the operators' pages, alerts of which none stands yet, threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.providers import registry
from app.providers.memory import MemorySms
from tests.alerting import forget
from tests.hanging import HangingSms
from tests.house import House
from tests.operators import KEY, Operator
from tests.receiver import SECRET, Receiver
from tests.rows import change


@pytest.fixture(scope="module")
def url(whole_house: House) -> Iterator[str]:
    """The pages, for holders of KEY."""
    with whole_house.api(API_KEY=KEY, DEFAULT_PHONE_REGION="NG") as address:
        yield address


@pytest.fixture
def grace(house: House, url: str) -> Operator:
    """An operator in front of the pages; nothing was done there yet."""
    change("TRUNCATE operator_actions")
    return Operator(url)


@pytest.fixture
def no_alerts(monkeypatch: pytest.MonkeyPatch, house: House) -> Iterator[None]:
    """Nothing is amiss, nobody judges; settings are read anew before and after."""
    change("TRUNCATE alert_state")
    house.valkey_client(0).flushall()
    forget()
    yield
    monkeypatch.undo()
    forget()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Told of alerts by webhook."""
    with Receiver() as hook:
        monkeypatch.setenv("ALERT_WEBHOOK_URL", hook.url)
        monkeypatch.setenv("ALERT_WEBHOOK_SECRET", SECRET)
        yield hook


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Each does what a worker does."""
    pool = ThreadPoolExecutor(8)
    yield pool
    pool.shutdown(wait=False)  # a test that failed leaves workers hanging


@pytest.fixture
def gated(gateway: MemorySms) -> Iterator[HangingSms]:
    """The SMS provider of this process, each of whose answers waits for its gate."""
    double = HangingSms()
    registry.install("sms", double)
    yield double
    for gate in double.gates:
        gate.set()
