"""A worker as operators run it, and what may be done to it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from sandbox.environment import ROOT
from sandbox.processes import Process

START_TIMEOUT = 60.0  # seconds, with the machine busy
STOP_TIMEOUT = 60.0  # what a supervisor grants it


class Command:
    """One of the platform's commands, a module and its arguments, in a session of its own; it may start again.

    `prefix`: a command that becomes it (exec), as `ip netns exec` does.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        arguments: list[str],
        environment: Mapping[str, str],
        prefix: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._prefix = prefix
        self.restarts = 0
        self._folder = folder
        self._arguments = arguments
        self._environment = environment
        self._process: Process | None = None
        self._starts = 0

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def process(self) -> Process:
        """The running process, or the last one that ran."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.alive

    def start(self) -> None:
        """Start the command, with a log file of its own."""
        self._starts += 1
        self._process = Process(
            self.name,
            [*self._prefix, sys.executable, "-m", *self._arguments],
            run_dir=self._folder,
            log_path=self._folder / "logs" / f"{self.name}-{self._starts}.log",
            env=self._environment,
            cwd=ROOT,
            death_signal=signal.SIGKILL,
        )

    def wait_ready(self, sign: str = " ready.") -> None:
        """Return once its log has the `sign`. Raises ProcessFailed."""
        log = self.process.log_path
        self.process.wait_ready(lambda: sign.encode() in log.read_bytes(), START_TIMEOUT)

    def kill(self) -> None:
        """SIGKILL to the whole group: the parent, its children, its relay."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGCONT)  # the dead can't be reaped while they are stopped
            self._process.kill()

    def signal(self, number: signal.Signals) -> None:
        """A signal to the whole group, as a terminal or a frozen machine would."""
        os.killpg(self.pid, number)

    def terminate(self) -> int:
        """SIGTERM to the parent, as a supervisor does; its exit status. Raises ProcessFailed after a minute."""
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT)

    def restart_if_dead(self) -> None:
        """What a supervisor does."""
        if self._process is not None and not self._process.alive:
            self.restarts += 1
            self.kill()
            self.start()

    def family(self) -> list[psutil.Process]:
        """The parent and all its children."""
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def children(self) -> list[psutil.Process]:
        """The pool's forked children, without the relay."""
        return [p for p in self.family()[1:] if not _is_helper(p)]

    def cpu_seconds(self) -> float:
        """What all its processes have used so far."""
        used = 0.0
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                used += sum(process.cpu_times()[:2])
        return used

    def memory(self) -> float:
        """MiB that the largest of its processes takes now."""
        sizes = [0.0]
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                sizes.append(process.memory_info().rss / 2**20)
        return max(sizes)


def _is_helper(process: psutil.Process) -> bool:
    """Whether it is multiprocessing's: the relay, or what tracks its resources."""
    with suppress(psutil.NoSuchProcess):
        return "multiprocessing" in " ".join(process.cmdline())
    return True
