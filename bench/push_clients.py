"""Two clients of FCM, each run in a process of its own: the product's provider, and Google's firebase-admin."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from app.providers.base import Push, Receipt
from app.providers.fcm import FcmProvider
from app.providers.fcm_auth import ServiceAccount
from app.providers.http import HttpClient

BATCH = 500  #: tokens of a call: the most that firebase-admin takes
TITLE, BODY = "News", "A strike is announced."
AT_ONCE = 6  #: calls of the provider, as many as a campaign has chunks under way
CONNECTIONS = 8

#: (URL, CA file, service account's file, tokens to warm up with, tokens) → (seconds, CPU seconds)
Client = Callable[[str, str, str, list[str], list[str]], tuple[float, float]]


def by_provider(url: str, ca_file: str, account: str, warm: list[str], tokens: list[str]) -> tuple[float, float]:
    """Send to all `tokens`; the seconds and CPU seconds it took. Raises RuntimeError for a refused one."""
    http = HttpClient(ca_file=ca_file, timeout=60.0, connections=CONNECTIONS)
    provider = FcmProvider(http, account=ServiceAccount.from_file(account), base_url=url)
    message = Push(reference="0192e4c0-bench", title=TITLE, body=BODY, data={}, ttl=3600)

    def send(batch: list[str]) -> int:
        return sum(isinstance(result, Receipt) for result in provider.send(message, batch))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(send, _batches(warm)))
        return _timed(lambda: sum(threads.map(send, _batches(tokens))), len(tokens))


def by_firebase_admin(
    url: str, ca_file: str, account: str, warm: list[str], tokens: list[str]
) -> tuple[float, float]:
    """As `by_provider`, by firebase-admin, one call after another as its API has it."""
    import firebase_admin  # noqa: PLC0415 - in the extra `bench` alone
    from firebase_admin import credentials, messaging  # noqa: PLC0415

    os.environ["REQUESTS_CA_BUNDLE"] = ca_file
    google = messaging._MessagingService
    google.FCM_URL = google.FCM_URL.replace("https://fcm.googleapis.com", url)
    firebase_admin.initialize_app(credentials.Certificate(account))
    session = messaging._get_messaging_service(None)._client.session
    # Its pool of 100 connections is mounted for Google's address alone.
    session.mount(url, session.get_adapter("https://fcm.googleapis.com"))

    def send(batch: list[str]) -> int:
        content = messaging.Notification(title=TITLE, body=BODY)
        message = messaging.MulticastMessage(tokens=batch, notification=content, data={"nid": "0192e4c0-bench"})
        return int(messaging.send_each_for_multicast(message).success_count)

    list(map(send, _batches(warm)))
    return _timed(lambda: sum(map(send, _batches(tokens))), len(tokens))


def _timed(send: Callable[[], int], expected: int) -> tuple[float, float]:
    started, cpu = time.monotonic(), time.process_time()
    accepted = send()
    seconds, spent = time.monotonic() - started, time.process_time() - cpu
    if accepted != expected:
        raise RuntimeError(f"{accepted} of {expected} pushes were accepted")
    return seconds, spent


def _batches(tokens: list[str]) -> list[list[str]]:
    return [tokens[first : first + BATCH] for first in range(0, len(tokens), BATCH)]
