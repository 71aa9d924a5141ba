"""How the relay runs beside each pool: a thread where the pool does not fork, else a process of its own.

A thread in a parent that forks would leave its locks, held or not, behind in the children.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

from app.notifications.relay import Relay

#: Seconds that a stopping worker waits for its relay to finish the batch in hand.
STOP_TIMEOUT = 5.0


class RelayThread:
    """The relay beside a pool of threads."""

    def __init__(self) -> None:
        self._relay = Relay()
        self._thread = threading.Thread(target=self._relay.run, name="relay", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the relay after the batch in hand."""
        self._relay.stop()
        self._thread.join(STOP_TIMEOUT)


class RelayProcess:
    """The relay beside a pool of forked children. It ends itself when its worker is gone."""

    def __init__(self) -> None:
        self._process = multiprocessing.get_context("spawn").Process(
            target=run_relay, args=(os.getpid(),), name="relay", daemon=True
        )
        self._process.start()

    def stop(self) -> None:
        """End the relay after the batch in hand."""
        self._process.terminate()
        self._process.join(STOP_TIMEOUT)


def run_relay(parent: int) -> None:
    """The relay process's main: until SIGTERM, or until its parent is gone."""
    relay = Relay()
    signal.signal(signal.SIGTERM, lambda *_: relay.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the worker decides

    def watch() -> None:
        while os.getppid() == parent and not relay.stopped.wait(1.0):
            pass
        relay.stop()

    threading.Thread(target=watch, daemon=True).start()
    relay.run()
