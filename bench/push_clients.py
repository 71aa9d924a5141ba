"""Clients of FCM, each run in a process of its own: the product's, Google's firebase-admin, and bare libcurl."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app.providers.base import Push, Receipt
from app.providers.fcm import FcmProvider
from app.providers.fcm_auth import ServiceAccount
from app.providers.http import HttpClient
from bench import libcurl

BATCH = 500  #: tokens of a call: the most that firebase-admin takes
TITLE, BODY = "News", "A strike is announced."
AT_ONCE = 6  #: calls of the provider, as many as a campaign has chunks under way
CONNECTIONS = 8
MESSAGE = Push(reference="0192e4c0-bench", title=TITLE, body=BODY, tag="0192e4c0-bench", ttl=3600, repeatable=True)

#: (URL, CA file, service account's file, tokens to warm up with, tokens) → (seconds, CPU seconds)
Client = Callable[[str, str, str, list[str], list[str]], tuple[float, float]]


def by_provider(url: str, ca_file: str, account: str, warm: list[str], tokens: list[str]) -> tuple[float, float]:
    """Send to all `tokens`; the seconds and CPU seconds it took. Raises RuntimeError for a refused one."""
    http = HttpClient(ca_file=ca_file, timeout=60.0, connections=CONNECTIONS)
    provider = FcmProvider(http, account=ServiceAccount.from_file(account), base_url=url)

    def send(batch: list[str]) -> int:
        return sum(isinstance(result, Receipt) for result in provider.send(MESSAGE, batch))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(send, _batches(warm)))
        return _timed(lambda: sum(threads.map(send, _batches(tokens))), len(tokens))


def by_firebase_admin(
    url: str, ca_file: str, account: str, warm: list[str], tokens: list[str]
) -> tuple[float, float]:
    """As `by_provider`, by firebase-admin, one call after another as its API has it."""
    from firebase_admin import messaging  # noqa: PLC0415 - in the extra `bench` alone

    _point(url, ca_file, account)

    def send(batch: list[str]) -> int:
        content = messaging.Notification(title=TITLE, body=BODY)
        message = messaging.MulticastMessage(tokens=batch, notification=content, data={"nid": "0192e4c0-bench"})
        return int(messaging.send_each_for_multicast(message).success_count)

    list(map(send, _batches(warm)))
    return _timed(lambda: sum(map(send, _batches(tokens))), len(tokens))


def by_firebase_admin_mounted(
    url: str, ca_file: str, account: str, warm: list[str], tokens: list[str]
) -> tuple[float, float]:
    """As `by_firebase_admin`, with the pool of 100 connections that it mounts for Google's address alone."""
    session = _point(url, ca_file, account)
    session.mount(url, session.get_adapter("https://fcm.googleapis.com"))
    return by_firebase_admin(url, ca_file, account, warm, tokens)


def _point(url: str, ca_file: str, account: str) -> Any:
    """Point firebase-admin at `url`, once in a process; the session by which it sends."""
    import firebase_admin  # noqa: PLC0415
    from firebase_admin import credentials, messaging  # noqa: PLC0415

    if not firebase_admin._apps:
        os.environ["REQUESTS_CA_BUNDLE"] = ca_file
        google = messaging._MessagingService
        google.FCM_URL = google.FCM_URL.replace("https://fcm.googleapis.com", url)
        firebase_admin.initialize_app(credentials.Certificate(account))
    return messaging._get_messaging_service(None)._client.session


def by_libcurl(url: str, ca_file: str, account: str, warm: list[str], tokens: list[str]) -> tuple[float, float]:
    """As `by_provider`, by libcurl with nothing around it."""
    posted = [libcurl.bodies(MESSAGE, some) for some in (warm, tokens)]
    project = ServiceAccount.from_file(account).project_id
    return libcurl.post(f"{url}/v1/projects/{project}/messages:send", ca_file, CONNECTIONS, *posted)


def _timed(send: Callable[[], int], expected: int) -> tuple[float, float]:
    started, cpu = time.monotonic(), time.process_time()
    accepted = send()
    seconds, spent = time.monotonic() - started, time.process_time() - cpu
    if accepted != expected:
        raise RuntimeError(f"{accepted} of {expected} pushes were accepted")
    return seconds, spent


def _batches(tokens: list[str]) -> list[list[str]]:
    return [tokens[first : first + BATCH] for first in range(0, len(tokens), BATCH)]
