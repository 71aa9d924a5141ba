"""A webhook's receiver on loopback: verifies as Standard Webhooks says, answers as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

KEY = b"twenty-four bytes or more"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
#: Seconds that a timestamp may be off.
TOLERANCE = 300


class Receiver:
    """Listens on 127.0.0.1 inside `with`. `statuses` are answered first in, first out; then 204.

    `taken` has what was verified and answered with 2xx: {"id": …, **body}; `tried` every id that came.
    """

    def __init__(self) -> None:
        self.statuses: deque[int] = deque()
        self.taken: list[dict[str, Any]] = []
        self.tried: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(receiver.receive(dict(self.headers.items()), body))
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing on the test's output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """The status to answer."""
        self.tried.append(headers["webhook-id"])
        status = self.statuses.popleft() if self.statuses else 204
        if not verified(headers, body):
            return 401
        if 200 <= status < 300:
            self.taken.append({"id": headers["webhook-id"], **json.loads(body)})
        return status


def verified(headers: dict[str, str], body: bytes) -> bool:
    """Whether one of the signatures is right, and the message is of these minutes."""
    timestamp = headers["webhook-timestamp"]
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    content = b".".join((headers["webhook-id"].encode(), timestamp.encode(), body))
    right = base64.b64encode(hmac.digest(KEY, content, hashlib.sha256)).decode()
    given = (signature.split(",", 1) for signature in headers["webhook-signature"].split(" "))
    return any(version == "v1" and hmac.compare_digest(value, right) for version, value in given)
