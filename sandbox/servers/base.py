"""What the embedded servers share: a locked folder, a port that stays theirs, start, stop, kill and restart."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Self

from sandbox.ports import free_port
from sandbox.processes import Leftovers, Process, ProcessFailed

_START_TIMEOUT = 60.0  # seconds; recovery after a crash comes before "ready"
_STOP_TIMEOUT = 30.0
_PORT_TAKEN = "Address already in use"  # another program was quicker
_STILL_USED = "is still in use"  # PostgreSQL: a session of the killed server has not noticed yet


class Server(ABC):
    """One server on 127.0.0.1, its log, pid file and data under `data_dir`; running inside `with`.

    `durable`: the data stay when the `with` ends, and outlive a power cut as far as the server promises.
    Otherwise, for tests, nothing waits for the disk, and the data are gone before and after; `restart` and
    `kill` lose none either way. Entering raises BinaryMissing, AlreadyRunning (another process uses
    `data_dir`) and ProcessFailed.
    """

    port: int

    def __init__(self, data_dir: Path, *, durable: bool) -> None:
        self.data_dir = data_dir.absolute()
        self.durable = durable
        self._process: Process | None = None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(Leftovers(self.data_dir))
            if not self.durable:
                self._remove_data()
                undo.callback(self._remove_data)
            self._prepare()
            undo.callback(self.stop)
            self._start(new_port=True)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def pid(self) -> int:
        """The running server's process id. Raises ProcessFailed while it is stopped."""
        if self._process is None:
            raise ProcessFailed(f"the server of {self.data_dir} is stopped")
        return self._process.pid

    def stop(self) -> None:
        """End the server in order; its data and port stay."""
        if self._process:
            self._process.stop(_STOP_TIMEOUT)
            self._process = None

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would."""
        if self._process:
            self._process.kill()
            self._process = None

    def restart(self) -> None:
        """Start again on the same port, after `stop` or `kill` or from running; from the main thread.

        Raises ProcessFailed.
        """
        self.stop()
        self._start(new_port=False)

    def _start(self, *, new_port: bool) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            if new_port:
                self.port = free_port()
            self._process = process = self._launch()
            try:
                return process.wait_ready(partial(self._ready, process.pid), _START_TIMEOUT)
            except ProcessFailed as failure:
                self.kill()
                passing = _STILL_USED in str(failure) or (new_port and _PORT_TAKEN in str(failure))
                if not passing or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    @abstractmethod
    def _prepare(self) -> None:
        """Make the data folder ready for `_launch`."""

    @abstractmethod
    def _launch(self) -> Process:
        """Start the server on `self.port`."""

    @abstractmethod
    def _ready(self, pid: int) -> bool:
        """Whether the server with this process id, and no other on the port, takes clients."""

    @abstractmethod
    def _remove_data(self) -> None:
        """Delete everything the server stored."""
