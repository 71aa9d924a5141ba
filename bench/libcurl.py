"""Pushes by libcurl with nothing around it but a selector: what no client that is made of it can undercut.

Bodies are made before; answers are not read, errors not told apart, deadlines not kept.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Any

import orjson
import pycurl

from app.providers.base import Push
from app.providers.fcm_message import content_of, target_of
from app.providers.http_engine import STREAMS
from app.providers.http_transfers import Transfers

#: As long as Google's.
HEADERS = ["Authorization: Bearer " + "a" * 200, "Content-Type: application/json"]


def bodies(message: Push, tokens: list[str]) -> list[bytes]:
    """What is posted, as the provider words it."""
    content = content_of(message)
    return [orjson.dumps({"message": target_of(token) | content}) for token in tokens]


def post(url: str, ca_file: str, connections: int, warm: list[bytes], each: list[bytes]) -> tuple[float, float]:
    """Seconds and CPU seconds of posting `each`, after `warm`. Raises RuntimeError unless all are answered 200."""
    transfers = Transfers(connections, STREAMS)
    handles = [_handle(url, ca_file) for _ in range(connections * STREAMS)]
    _send(transfers, handles, warm)
    started, cpu = time.monotonic(), time.process_time()
    _send(transfers, handles, each)
    spent = time.monotonic() - started, time.process_time() - cpu
    transfers.close()
    return spent


def _send(transfers: Transfers, handles: list[Any], posted: list[bytes]) -> None:
    """Post all, over handles that are used again and again, and wait for the answers."""
    waiting, left = deque(posted), len(posted)

    def begin(curl: Any) -> None:
        if waiting:
            curl.setopt(pycurl.POSTFIELDS, waiting.popleft())
            transfers.begin(curl)

    for curl in handles:
        begin(curl)
    while left:
        for curl, error in transfers.turn(math.inf):
            if error or curl.getinfo(pycurl.RESPONSE_CODE) != 200:
                raise RuntimeError("a push was not accepted")
            left -= 1
            begin(curl)


def _handle(url: str, ca_file: str) -> Any:
    curl = pycurl.Curl()
    for option, value in {
        pycurl.URL: url,
        pycurl.HTTPHEADER: HEADERS,
        pycurl.CAINFO: ca_file,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
        pycurl.PIPEWAIT: 1,
        pycurl.NOSIGNAL: 1,
        pycurl.WRITEFUNCTION: len,
    }.items():
        curl.setopt(option, value)
    return curl
