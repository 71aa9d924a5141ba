"""What the provider tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.providers.fcm import FcmProvider
from app.providers.http import HttpClient
from sandbox.standins.fcm import FcmStandIn
from sandbox.standins.ledger import Ledger
from sandbox.standins.tls import Authority
from tests.providers.echo import Echo
from tests.providers.fcm_bench import connect
from tests.providers.http_bench import MakeClient
from tests.providers.smtp_bench import SmtpBench


@pytest.fixture
def smtp(authority: Authority) -> Iterator[SmtpBench]:
    with SmtpBench(authority) as bench:
        yield bench


@pytest.fixture
def fcm(ledger: Ledger, authority: Authority) -> Iterator[FcmStandIn]:
    with FcmStandIn(ledger, authority) as standin:
        yield standin


@pytest.fixture
def provider(fcm: FcmStandIn, authority: Authority, tmp_path: Path) -> Iterator[FcmProvider]:
    with connect(fcm, authority, tmp_path) as made:
        yield made


@pytest.fixture
def make(authority: Authority) -> Iterator[MakeClient]:
    """Makes clients that trust the test's authority, and closes them."""
    made = []

    def client(**options: float) -> HttpClient:
        made.append(HttpClient(ca_file=str(authority.ca_file), **options))  # type: ignore[arg-type]
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def echo(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Echo]:
    """Answers with what it is sent."""
    with Echo(authority if request.param == "HTTP/2" else None) as server:
        yield server
