"""Child processes that don't outlive the sandbox: started, watched, ended, and found again after a crash."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

_POLL = 0.02  # seconds between two looks at a process
_GRACE = 3.0  # seconds a leftover gets to end by itself; each start may have to wait for it
_TAIL_LINES, _TAIL_BYTES = 20, 8192
_PR_SET_PDEATHSIG = 1  # prctl(2)


class ProcessFailed(RuntimeError):
    """A child ended or hung when it should have become ready; the text ends with the tail of its log."""


class AlreadyRunning(RuntimeError):
    """Another living process uses this run folder."""


def start_time(pid: int) -> str | None:
    """When process `pid` began, in the system's own words; None if it does not run (a zombie does not).

    Together with the pid it names one process for good, as pids are used again. Linux: boot id and field 22 of
    /proc/<pid>/stat, proc_pid_stat(5); elsewhere `lstart` of ps(1).
    """
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return None if fields[0] in "ZX" else f"{boot} {fields[19]}"
    ps = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(ps, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False)
    state, _, began = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else began.strip()


def account(user: str | None) -> dict[str, Any]:
    """Popen's arguments to run a child as `user` and nothing more; None keeps our own account.

    Raises KeyError if there is no such user.
    """
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What the child runs before exec so that the kernel signals it when we die; None where only Linux can."""
    if sys.platform != "linux":
        return None
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start a Process from the main thread: Linux ends it with the thread that started it")
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # it died before prctl took hold
            os.kill(os.getpid(), death_signal)

    return before_exec


class Process:
    """A running child in a session of its own, its output in `log_path` (appended), its pid file in `run_dir`.

    `name` is unique in `run_dir`. `death_signal` is what asks the child to end: `stop` sends it, the kernel does
    when we die (Linux), and so does the next start that finds the child alive. `env` None is ours; `user` needs
    root. Raises OSError if the command can't be run, RuntimeError outside the main thread.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        run_dir: Path,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        death_signal: signal.Signals = signal.SIGTERM,
        user: str | None = None,
    ) -> None:
        self.name, self.log_path, self.death_signal = name, log_path, death_signal
        run_dir.mkdir(parents=True, exist_ok=True)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            self._log_start = log.tell()
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_with_parent(death_signal),  # noqa: PLW1509 - runs prctl alone, bound before the fork
                **account(user),
            )
        self._started = start_time(self.pid)
        self._pid_file = self._write_pid_file(run_dir)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def wait(self, timeout: float) -> int:
        """Wait up to `timeout` seconds for the end; return the exit status (negative: the signal).

        Raises ProcessFailed if it still runs.
        """
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(f"{self.name} still runs after {timeout:g} s; {self.log_tail()}") from None

    def wait_ready(self, ready: Callable[[], bool], timeout: float) -> None:
        """Return once `ready()` is true. Raises ProcessFailed if the child ends first, or after `timeout` s."""
        deadline = time.monotonic() + timeout
        while True:
            if not self.alive:
                code = self._child.returncode
                raise ProcessFailed(f"{self.name} ended with status {code} before it was ready; {self.log_tail()}")
            if ready():
                return
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} was not ready within {timeout:g} s; {self.log_tail()}")
            time.sleep(_POLL)

    def stop(self, timeout: float = 10.0) -> None:
        """Ask the child to end, wait up to `timeout` seconds, then kill whatever is left of its group."""
        if self.alive:
            self._child.send_signal(self.death_signal)
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """End the child and its group with SIGKILL, as a crash would."""
        # A child that died may have left children; but once it is reaped, its pid may be somebody else's.
        if start_time(self.pid) in (None, self._started):
            with suppress(ProcessLookupError, PermissionError):  # the latter: macOS, when only zombies are left
                os.killpg(self.pid, signal.SIGKILL)
        self._child.wait()
        self._pid_file.unlink(missing_ok=True)

    def log_tail(self) -> str:
        """The last lines that this child wrote, under a heading that names the file."""
        with self.log_path.open("rb") as log:
            log.seek(max(self._log_start, self.log_path.stat().st_size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join([f"the end of {self.log_path}:", *lines[-_TAIL_LINES:]])

    def _write_pid_file(self, run_dir: Path) -> Path:
        folder = str(run_dir.resolve())
        mark = {"pid": self.pid, "started": self._started, "signal": int(self.death_signal), "folder": folder}
        pid_file = run_dir / f"{self.name}.pid"
        pid_file.write_text(json.dumps(mark))
        return pid_file


class Leftovers:
    """Holds `run_dir` for this process alone and, on entering, ends what an earlier killed run left there.

    A leftover is a process whose pid file was written in `run_dir` (a copied folder brings another's along) and
    whose start time is still the one noted there. Raises AlreadyRunning if another living process
    holds the folder.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def __enter__(self) -> Self:
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.run_dir / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._lock, 20).decode().strip() or "unknown"
            os.close(self._lock)
            raise AlreadyRunning(f"{self.run_dir}: already running (pid {holder})") from None
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())
        self._end()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def _end(self) -> None:
        files = list(self.run_dir.glob("*.pid"))
        here = str(self.run_dir.resolve())
        left = [mark for file in files if (mark := _read_mark(file)) and mark["folder"] == here and _runs(mark)]
        for mark in left:
            with suppress(ProcessLookupError):
                os.kill(mark["pid"], mark["signal"])
        _await_end(left)
        for mark in filter(_runs, left):
            with suppress(ProcessLookupError):
                os.killpg(mark["pid"], signal.SIGKILL)
        _await_end(left)
        for file in files:
            file.unlink(missing_ok=True)


def _read_mark(pid_file: Path) -> dict[str, Any] | None:
    """The pid file's content; None if its writer was killed half-way."""
    try:
        mark: dict[str, Any] = json.loads(pid_file.read_text())
    except ValueError:
        return None
    return mark


def _runs(mark: Mapping[str, Any]) -> bool:
    return mark["started"] is not None and start_time(mark["pid"]) == mark["started"]


def _await_end(marks: Sequence[Mapping[str, Any]]) -> None:
    deadline = time.monotonic() + _GRACE
    while any(map(_runs, marks)) and time.monotonic() < deadline:
        time.sleep(_POLL)
