"""A circuit breaker: after a failure the next callers are spared the wait."""

from __future__ import annotations

import threading
import time


class Breaker:
    """Closed while calls succeed; after one failure open for `cool_down` seconds, then one caller may try.

    Thread-safe. Ask `allow()` before the call, tell `succeeded()` or `failed()` after it.
    """

    def __init__(self, *, cool_down: float) -> None:
        self._cool_down = cool_down
        self._lock = threading.Lock()
        self._open_until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the last call failed and its cool-down is not over."""
        with self._lock:
            return self._open_until is not None and time.monotonic() < self._open_until

    def allow(self) -> bool:
        """Whether to make the call; of many callers after a cool-down only the first hears yes."""
        with self._lock:
            if self._open_until is None:
                return True
            if time.monotonic() < self._open_until:
                return False
            self._open_until = time.monotonic() + self._cool_down
            return True

    def succeeded(self) -> None:
        """The call worked: close."""
        with self._lock:
            self._open_until = None

    def failed(self) -> None:
        """The call failed: open."""
        with self._lock:
            self._open_until = time.monotonic() + self._cool_down
