"""Faults of the disk that files lie on: those of workers and beat, and whatever is generated."""

from __future__ import annotations

import time

from app.core import redis
from app.monitoring import keys
from tests.faults.catalogue import fault
from tests.faults.disks import small_disk
from tests.faults.rig import Rig

SOON = 40.0  # seconds for what takes one on an idle machine
STARTED = "beat: Starting"  # beat's log


@fault(within=30.0, attempts=1)
def files_disk_full(rig: Rig) -> float:
    """No room for TEMP_DIR, heartbeat file, beat's schedule: all goes out, a worker starts anew, beat twice."""
    folder = rig.folder / "files"
    folder.mkdir()
    disk = rig.undo.enter_context(small_disk(folder))
    heartbeat = folder / "heartbeat"
    worker = rig.worker(TEMP_DIR=str(folder), HEARTBEAT_FILE=str(heartbeat))
    with disk.full():
        beat = rig.celery("beat", "-s", str(folder / "schedule"))
        beat.wait_ready(STARTED)
        _expect_all_sent(rig)
        for command, ready in ((worker, " ready."), (beat, STARTED)):
            rig.expect(command.terminate() == 0, f"{command.name} did not stop in order")
            command.start()
            command.wait_ready(ready)
        began = time.time()
        _expect_all_sent(rig)
        rig.wait(lambda: _ticked_at() > began, SOON, "the new beat ticks")
        rig.wait(lambda: heartbeat.stat().st_mtime > began, SOON, "the new worker touches its file")
    freed = time.time()
    _expect_all_sent(rig)
    return freed


def _expect_all_sent(rig: Rig) -> None:
    """E-mails with tickets and receipts among them."""
    sent = rig.submit_each(10)
    rig.wait(lambda: rig.unfinished() == 0, SOON, f"all of {len(sent)} are sent")


def _ticked_at() -> float:
    return float(redis.client().get(keys.BEAT) or 0)
