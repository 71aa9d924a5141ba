"""What the provider tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.standins.tls import Authority
from tests.providers.smtp_bench import SmtpBench


@pytest.fixture
def smtp(authority: Authority) -> Iterator[SmtpBench]:
    with SmtpBench(authority) as bench:
        yield bench
