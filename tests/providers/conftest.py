"""What the provider tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.providers.fcm import FcmProvider
from sandbox.standins.fcm import FcmStandIn
from sandbox.standins.ledger import Ledger
from sandbox.standins.tls import Authority
from tests.providers.fcm_bench import connect
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
