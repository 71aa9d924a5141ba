"""Children of the sandbox: none outlives it, none is lost track of, and nobody else's is touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.processes import AlreadyRunning, Leftovers, Process, ProcessFailed, start_time

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds; far more than anything here takes
SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
#: Starts a sleeping child of its own, notes its pid, then does what is filled in.
WITH_CHILD = "import subprocess, sys, time; c = subprocess.Popen(['sleep', '600']); print(c.pid, flush=True); {}"
#: Runs the code in argv[2] as a Process in the folder argv[1], and sleeps until it is killed.
PARENT = """
import sys, time
from pathlib import Path
from sandbox.processes import Leftovers, Process
folder = Path(sys.argv[1])
with Leftovers(folder):
    child = Process("child", [sys.executable, "-c", sys.argv[2]], run_dir=folder, log_path=folder / "log")
    child.wait_ready(lambda: (folder / "log").stat().st_size > 0, 60)
    print(child.pid, flush=True)
    time.sleep(600)
"""

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")


def start(folder: Path, code: str) -> Process:
    """A Python child that runs `code`, after its first line of output."""
    log = folder / "log"
    child = Process("child", [sys.executable, "-c", code], run_dir=folder, log_path=log)
    child.wait_ready(lambda: log.stat().st_size > 0, PATIENCE)
    return child


def until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def gone(pid: int) -> bool:
    return until(lambda: start_time(pid) is None)


def killed_parent(folder: Path, code: str) -> int:
    """Kill, as kill -9 does, a parent whose child runs `code`; return the child's pid."""
    command = [sys.executable, "-c", PARENT, str(folder), code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.kill()
    return pid


def test_runs_in_a_session_of_its_own_with_its_output_in_the_log(tmp_path: Path) -> None:
    child = start(tmp_path, SLEEP)
    assert child.alive
    assert os.getsid(child.pid) == child.pid
    assert json.loads((tmp_path / "child.pid").read_text())["pid"] == child.pid
    child.stop()
    assert not child.alive
    assert child.log_path.read_text() == "up\n"
    assert not (tmp_path / "child.pid").exists()


def test_wait_gives_the_exit_status_or_says_that_it_still_runs(tmp_path: Path) -> None:
    child = Process("child", ["sh", "-c", "exit 3"], run_dir=tmp_path, log_path=tmp_path / "log")
    assert child.wait(PATIENCE) == 3
    child = start(tmp_path, SLEEP)
    with pytest.raises(ProcessFailed, match=r"child still runs after 0\.1 s"):
        child.wait(0.1)
    child.kill()


def test_a_child_that_dies_before_it_is_ready_fails_at_once_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of an earlier run\n")
    child = Process(
        "child", ["sh", "-c", "echo no such host; exit 3"], run_dir=tmp_path, log_path=tmp_path / "log"
    )
    began = time.monotonic()
    with pytest.raises(ProcessFailed, match=r"(?s)child ended with status 3 .*no such host") as failure:
        child.wait_ready(lambda: False, 10 * PATIENCE)
    assert time.monotonic() - began < PATIENCE
    assert "earlier run" not in str(failure.value)


def test_a_child_that_never_becomes_ready_fails_with_its_log(tmp_path: Path) -> None:
    child = start(tmp_path, SLEEP)
    with pytest.raises(ProcessFailed, match=r"(?s)child was not ready within 0\.1 s.*up"):
        child.wait_ready(lambda: False, 0.1)
    child.kill()


def test_stop_kills_a_child_that_ignores_it(tmp_path: Path) -> None:
    child = start(tmp_path, STUBBORN)
    child.stop(timeout=0.2)
    assert child.wait(0) == -signal.SIGKILL


@pytest.mark.parametrize("ending", ["time.sleep(600)", "sys.exit(1)"])
def test_stop_leaves_no_grandchild_even_of_a_child_that_died(tmp_path: Path, ending: str) -> None:
    log = tmp_path / "log"
    code = WITH_CHILD.format(ending)
    child = Process("child", [sys.executable, "-c", code], run_dir=tmp_path, log_path=log)
    assert until(lambda: log.read_text().endswith("\n"))
    assert until(lambda: child.alive is (ending == "time.sleep(600)"))
    grandchild = int(log.read_text())
    assert start_time(grandchild)
    child.stop()
    assert gone(grandchild)


@linux_only
def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    assert gone(killed_parent(tmp_path, SLEEP))


@linux_only
def test_starting_from_a_thread_is_refused(tmp_path: Path) -> None:
    errors: list[str] = []

    def begin() -> None:
        try:
            start(tmp_path, SLEEP)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    assert errors == ["start a Process from the main thread: Linux ends it with the thread that started it"]


def test_the_next_start_ends_what_a_killed_run_left(tmp_path: Path) -> None:
    pid = killed_parent(tmp_path, STUBBORN)
    assert start_time(pid)
    with Leftovers(tmp_path):
        assert start_time(pid) is None
        assert not (tmp_path / "child.pid").exists()


@pytest.mark.parametrize("why", ["the pid was used again", "the folder is a copy"])
def test_a_process_that_is_not_ours_is_never_touched(tmp_path: Path, why: str) -> None:
    folder = tmp_path if why == "the pid was used again" else tmp_path / "original"
    with subprocess.Popen(["sleep", "600"]) as foreign:
        started = "long ago" if folder == tmp_path else start_time(foreign.pid)
        mark = {"pid": foreign.pid, "started": started, "signal": int(signal.SIGKILL), "folder": str(folder)}
        (tmp_path / "child.pid").write_text(json.dumps(mark))
        (tmp_path / "half.pid").write_text('{"pid": ')
        with Leftovers(tmp_path):
            assert list(tmp_path.glob("*.pid")) == []
        assert foreign.poll() is None
        foreign.kill()


def test_a_second_start_in_the_same_folder_is_told_who_runs(tmp_path: Path) -> None:
    with Leftovers(tmp_path):
        with pytest.raises(AlreadyRunning, match=rf"already running \(pid {os.getpid()}\)"), Leftovers(tmp_path):
            pass
        child = start(tmp_path, SLEEP)  # a child must not inherit the lock
    with Leftovers(tmp_path):
        assert child.wait(PATIENCE) == -signal.SIGTERM
