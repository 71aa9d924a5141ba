"""The supervisor file as operators run it: every process starts, works, comes back, and stops in time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from sandbox.ports import free_port
from tests import data
from tests.house import API_KEY, ROOT, House, wait_until
from tests.rows import row

FILE = ROOT / "deploy/supervisor/supervisord.conf"
PROGRAMS = {"api", "beat", "worker-email", "worker-sms", "worker-notifications", "worker-cleanup"}
#: Seconds for six processes to start on a machine that is busy with something else.
SOON = 120.0
#: What supervisor grants the slowest of them, and some for itself.
GRACE = 90.0


class Supervised:
    """A running supervisor: `folder` stands for /run/pafar, /var/lib/pafar and /var/log/pafar."""

    def __init__(self, folder: Path, url: str, process: psutil.Process) -> None:
        self.folder, self.url, self.process = folder, url, process

    def programs(self) -> dict[str, psutil.Process]:
        """Those that run now, by name."""
        command = [
            sys.executable,
            "-m",
            "supervisor.supervisorctl",
            "-c",
            str(self.folder / "supervisord.conf"),
            "status",
        ]
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        running = [line.replace(",", "").split() for line in lines if " RUNNING " in line]
        return {words[0]: psutil.Process(int(words[3])) for words in running}

    def log(self, program: str) -> str:
        return (self.folder / f"{program}.log").read_text()

    def accept(self, kind: str, arguments: dict[str, object]) -> str:
        """Accept a message over HTTP: its id."""
        body = json.dumps({"kind": kind, "arguments": arguments}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {API_KEY}"}
        request = urllib.request.Request(f"{self.url}/api/v1/notifications", body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(json.load(answer)["id"])


@contextmanager
def supervised(house: House) -> Iterator[Supervised]:
    """The file as it is, but for its folders, its port and this test's own interpreter."""
    with tempfile.TemporaryDirectory(prefix="pafar-") as name:  # short: a socket's path is at most 107 bytes
        folder, port = Path(name), free_port()
        text = FILE.read_text().replace("%(here)s/../../.venv/bin", str(Path(sys.executable).parent))
        text = text.replace("%(here)s/../..", str(ROOT)).replace("--port 8000", f"--port {port}")
        for place in ("/run/pafar", "/var/lib/pafar", "/var/log/pafar"):
            text = text.replace(place, name)
        (folder / "supervisord.conf").write_text(text)
        settings = house.environment | {"API_KEY": API_KEY}
        (folder / "pafar.env").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        bare = {key: value for key, value in os.environ.items() if key not in settings}
        command = [sys.executable, "-m", "dotenv", "-f", str(folder / "pafar.env"), "run", "--"]
        command += [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(folder / "supervisord.conf")]
        with subprocess.Popen(command, env=bare, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
            try:
                yield Supervised(folder, f"http://127.0.0.1:{port}", psutil.Process(started.pid))
            finally:
                started.terminate()
                started.wait(GRACE)


def test_everything_starts_works_comes_back_and_stops_in_time(house: House) -> None:
    with supervised(house) as platform:
        wait_until(lambda: set(platform.programs()) == PROGRAMS, SOON)
        wait_until(lambda: " ready." in platform.log("worker-sms"), SOON)
        wait_until(lambda: "beat: Starting" in platform.log("beat"), SOON)

        killed = platform.programs()["worker-sms"]
        killed.kill()
        wait_until(lambda: platform.programs().get("worker-sms", killed) != killed, SOON)
        message_id = platform.accept("booking_confirmation_sms", data.sms())
        wait_until(lambda: (row(message_id) or {})["status"] == "sent", SOON)
        wait_until(lambda: heartbeats_of(platform.folder) == 4, SOON)

        (platform.folder / "api.log").rename(platform.folder / "api.log.1")  # as logrotate does
        platform.process.send_signal(signal.SIGUSR2)
        wait_until((platform.folder / "api.log").exists, SOON)

        family = platform.process.children(recursive=True)
        asked = time.monotonic()
        platform.process.terminate()
        _, alive = psutil.wait_procs([platform.process, *family], timeout=GRACE)
        assert not alive
        assert "killing" not in platform.log("supervisord"), platform.log("supervisord")
        print(f"all stopped {time.monotonic() - asked:.1f} s after they were asked")
    assert len(house.ledger.entries("sms")) == 1


def heartbeats_of(folder: Path) -> int:
    return len(list(folder.glob("*.heartbeat")))
