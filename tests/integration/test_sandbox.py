"""The sandbox itself, as a newcomer runs it: one booking told on three channels, and nothing left when it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.processes import start_time

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0  # seconds; far more than it takes, for a machine that is busy with other things


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account may enter, unlike pytest's own: root's sandbox keeps all its data in there."""
    with tempfile.TemporaryDirectory(prefix="pafar-sandbox-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_once_tells_a_passenger_on_every_channel(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "--once", "--folder", folder],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    committed = re.search(r"booking (PF\w{8}) committed +Ada Obi, .+ → .+, seats? \d", done.stdout)
    assert committed, done.stdout
    assert "4 messages queued" in done.stdout
    for channel in ("e-mail", "SMS", "push"):
        line = re.search(rf"{channel} sent and received +after [\d.]+ s: .*", done.stdout)
        assert line, done.stdout
        assert committed[1] in line[0]
    assert not any(map(runs, marks(folder)))


def test_ctrl_c_stops_everything(folder: Path) -> None:
    with running(folder) as (sandbox, inbox):
        left = marks(folder)
        assert len(left) == 5, left  # PostgreSQL, Valkey, API, worker, beat

        second = subprocess.run(
            [sys.executable, "-m", "sandbox", "--folder", folder],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert second.returncode == 1
        assert f"already running (pid {sandbox.pid}); its page is {inbox}" in second.stdout

        before = last_message(inbox)
        page = urllib.request.urlopen(urllib.request.Request(f"{inbox}/book", method="POST")).read().decode()
        assert re.search(r"Booked PF\w{8}: ", page)
        wait_until(lambda: last_message(inbox) >= before + 2)

        sandbox.send_signal(signal.SIGINT)
        assert sandbox.wait(PATIENCE) == 0
    assert "nothing is left running" in (folder / "output").read_text()
    assert not any(map(runs, left))


def test_nothing_survives_a_killed_sandbox(folder: Path) -> None:
    with running(folder) as (sandbox, _):
        left = marks(folder)
        assert all(map(runs, left))
        sandbox.kill()
        sandbox.wait()
        wait_until(lambda: not any(map(runs, left)))
    with running(folder) as (again, _):
        again.send_signal(signal.SIGTERM)
        assert again.wait(PATIENCE) == 0


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A sandbox whose first bookings are told, and the address of its page."""
    address = folder / "address"
    with (folder / "output").open("wb") as output:
        sandbox = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--folder", folder], cwd=ROOT, stdout=output, stderr=output
        )
        try:
            wait_until(lambda: b"Ctrl-C stops" in (folder / "output").read_bytes() or sandbox.poll() is not None)
            assert sandbox.poll() is None, (folder / "output").read_text()
            yield sandbox, address.read_text()
        finally:
            sandbox.terminate()
            sandbox.wait(PATIENCE)


def marks(folder: Path) -> list[tuple[int, str]]:
    """Pid and start time of every process that the sandbox of `folder` has noted."""
    files = (*folder.glob("*.pid"), *folder.glob("*/*.pid"))
    return [(mark["pid"], mark["started"]) for mark in (json.loads(file.read_text()) for file in files)]


def runs(mark: tuple[int, str]) -> bool:
    pid, started = mark
    return start_time(pid) == started


def last_message(inbox: str) -> int:
    with urllib.request.urlopen(f"{inbox}/messages/after/0") as answer:
        return int(json.load(answer)["last"])


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
