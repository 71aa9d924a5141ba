"""Connects the real FCM provider to its stand-in, for the tests of both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.providers.base import PushResult
from app.providers.fcm import FcmProvider
from app.providers.fcm_auth import ServiceAccount
from app.providers.http import HttpClient
from sandbox.standins.fcm import FcmStandIn
from sandbox.standins.tls import Authority
from tests.providers.suites import PUSH


@contextmanager
def connect(
    fcm: FcmStandIn, authority: Authority, folder: Path, *, timeout: float = 60.0
) -> Iterator[FcmProvider]:
    """A provider with a service account that `fcm` knows; its file is written to `folder`."""
    path = folder / "account.json"
    fcm.write_service_account(path)
    http = HttpClient(ca_file=str(authority.ca_file), timeout=timeout)
    provider = FcmProvider(http, account=ServiceAccount.from_file(str(path)), base_url=fcm.url)
    try:
        yield provider
    finally:
        provider.close()


def outcome(provider: FcmProvider) -> PushResult:
    """What comes of a push to one phone."""
    [result] = provider.send(PUSH, ["token"])
    return result
