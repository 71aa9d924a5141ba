"""What the stand-in providers accepted: an append-only file, written before the provider answers."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import orjson


class Ledger:
    """Accepted messages, oldest first, in memory and (when `path` is given) one JSON line each in a file.

    An entry is `{"n": int, "at": unix seconds, "channel": "email"|"sms"|"push", …}` with what that channel
    received. Writing happens before the answer, so "accepted, but the answer was lost" leaves a trace.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._changed = threading.Condition()
        self._entries: list[dict[str, Any]] = []
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if path else None

    def accept(self, channel: str, **what: Any) -> dict[str, Any]:
        """Note one accepted message and return its entry. `what` must be JSON."""
        with self._changed:
            entry = {"n": len(self._entries) + 1, "at": time.time(), "channel": channel, **what}
            if self._file is not None:
                os.write(self._file, orjson.dumps(entry) + b"\n")
            self._entries.append(entry)
            self._changed.notify_all()
        return entry

    def entries(self, channel: str | None = None, *, after: int = 0) -> list[dict[str, Any]]:
        """Entries with n > `after`, of one channel if given."""
        with self._changed:
            return [e for e in self._entries[after:] if channel in (None, e["channel"])]

    def wait(self, *, after: int, timeout: float) -> list[dict[str, Any]]:
        """As `entries`, but wait up to `timeout` seconds for the first."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._entries) > after, timeout)
            return self._entries[after:]

    def clear(self) -> None:
        """Forget what is in memory (between tests); the file stays as it is."""
        with self._changed:
            self._entries.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
