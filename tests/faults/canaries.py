"""Looks for personal data and secrets where they must not be, in every form in which they travel."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import redis

from tests.faults.invariants import Breach
from tests.operators import PAGES, Operator

_CHANCE = 10  # digits


def forms(secret: str) -> set[bytes]:
    """`secret` plain, as in a URL, in hex, and inside base64 text at each of the three alignments."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), quote_plus(secret).encode()}
    found |= {raw.hex().encode(), raw.hex().upper().encode()}
    for ahead in range(3):
        # The first and last characters depend on the neighbours too: what is left is the secret's alone.
        whole, start = base64.b64encode(b"\0" * ahead + raw), -(-ahead * 4 // 3)
        end = len(raw) + ahead
        inner = whole[start : end * 4 // 3]
        found |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def leaks(secrets: Mapping[str, str], places: Mapping[str, bytes]) -> list[Breach]:
    """I5: none of the `secrets` (by what they are) is in any of the `places` (by their names)."""
    return [
        Breach("I5", f"{what} lies in {place}")
        for what, secret in secrets.items()
        for place, content in places.items()
        if _occurs(secret, content)
    ]


def _occurs(secret: str, content: bytes) -> bool:
    if secret.isdigit() and len(secret) < _CHANCE:
        return _stands_alone(secret.encode(), content)
    return any(form in content for form in forms(secret))


def _stands_alone(number: bytes, content: bytes) -> bool:
    """Whether a short number is there by itself: within a longer one, or an id, it is there by chance."""
    alone = re.compile(rb"(?<![0-9a-f.])%b(?![0-9a-f])" % number)
    # Its neighbours are to be seen, so base64 is decoded: every event holds times of sixteen digits.
    return any(alone.search(text) for text in (content, *_decoded(content))) or number.hex().encode() in content


def _decoded(content: bytes) -> Iterator[bytes]:
    """What the content's words say if they are base64, at each alignment."""
    for word in re.findall(rb"[A-Za-z0-9+/_-]{9,}", content):
        plain = word.translate(bytes.maketrans(b"-_", b"+/"))
        for part in (plain[skip:] for skip in range(4)):
            whole = part[: len(part) - (len(part) % 4 == 1)]
            yield base64.b64decode(whole + b"=" * (-len(whole) % 4))


def files(folder: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file below `folder`."""
    for path in sorted(folder.rglob(pattern)):
        yield path.name, path.read_bytes()


def results(client: Any) -> bytes:
    """Everything in the result backend."""
    keys = list(client.scan_iter(count=1000))
    kept: Iterable[bytes | None] = [client.get(key) for key in keys if client.type(key) == b"string"]
    return b"\n".join(value for value in kept if value)


def pages(url: str, key: str) -> dict[str, bytes]:
    """What the API at `url` tells an operator with this key: metrics, the health report, the operators' pages."""
    operator, found = Operator(url, key=key), {}
    for path in ("/metrics", "/health/tasks"):
        found[path] = operator.get(path, Authorization=f"Bearer {key}")
    for path in PAGES:
        found[path] = operator.get(path)
    assert all(answer.status == 200 for answer in found.values()), {p: a.status for p, a in found.items()}
    return {f"the answer to GET {path}": answer.text.encode() for path, answer in found.items()}


class Eavesdropper:
    """Hears all that is published in the server's channels: Celery's events, remote control, results."""

    def __init__(self, url: str) -> None:
        self.heard = bytearray()
        self._client = redis.Redis.from_url(url, socket_timeout=5)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="eavesdropper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._stopped.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with suppress(redis.RedisError):  # the server is often the one that is hurt
                self._listen()
            self._stopped.wait(0.1)

    def _listen(self) -> None:
        with self._client.pubsub() as channels:  # type: ignore[no-untyped-call]
            channels.psubscribe("*")
            while not self._stopped.is_set():
                message = channels.get_message(timeout=0.2)
                if message and isinstance(message["data"], bytes):
                    self.heard += message["data"] + b"\n"
