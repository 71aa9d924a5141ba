"""A circuit breaker: after failures the next callers are spared the wait, the other side the calls."""

from __future__ import annotations

import threading
import time


class Breaker:
    """Closed while calls succeed; after `threshold` failures in a row open for `cool_down` seconds, then one
    caller may try.

    Thread-safe. Ask `allow()` before the call, tell `succeeded()` or `failed()` after it.
    """

    def __init__(self, *, cool_down: float, threshold: int = 1) -> None:
        self._cool_down = cool_down
        self._threshold = threshold
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: float | None = None

    @property
    def remaining(self) -> float:
        """Seconds until the next try is allowed; 0.0 while closed."""
        with self._lock:
            return max(0.0, (self._open_until or 0.0) - time.monotonic())

    @property
    def is_open(self) -> bool:
        """Whether calls are refused now."""
        return self.remaining > 0

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
            self._failures, self._open_until = 0, None

    def failed(self) -> None:
        """The call failed: open, if it was one too many."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._threshold:
                self._open_until = time.monotonic() + self._cool_down

    def trip(self) -> None:
        """Open at once, whatever the count."""
        with self._lock:
            self._failures = self._threshold
            self._open_until = time.monotonic() + self._cool_down
