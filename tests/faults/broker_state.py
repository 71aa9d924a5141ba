"""Faults of what the broker holds: emptied, set back by two seconds, and full of what nobody took for a while."""

from __future__ import annotations

import shutil
import time

from sandbox.standins.script import slow
from tests.faults.catalogue import fault
from tests.faults.rig import Rig
from tests.faults.workers import SOON


@fault(within=60.0)
def broker_emptied(rig: Rig) -> float:
    """FLUSHALL while 60 of 64 messages wait in the broker."""
    rig.worker("-c", "4")
    rig.stand_ins.sms.script.extend([slow(0.5)] * 64)
    rig.submit(64)
    rig.wait(lambda: rig.accepted(rig.intended) >= 4, SOON, "the first four are under way")
    rig.broker_client().flushall()
    return time.time()


@fault(within=60.0, attempts=1)
def broker_set_back(rig: Rig) -> float:
    """The broker comes back as it was two seconds ago: what was done is there again, what is new is not."""
    rig.worker("-c", "4")
    rig.stand_ins.sms.script.extend([slow(0.3)] * 80)
    rig.submit(40)
    rig.wait(lambda: rig.accepted(rig.intended) >= 4, SOON, "the first four are under way")
    files, copy = rig.valkey.data_dir / "data" / "appendonlydir", rig.folder / "two-seconds-ago"
    shutil.copytree(files, copy)
    rig.pause(2.0)
    rig.submit(40)
    rig.valkey.kill()
    shutil.rmtree(files)
    copy.rename(files)
    rig.valkey.restart()
    return time.time()


@fault(attempts=1)
def backlog(rig: Rig) -> float:
    """5,000 messages wait for 20 s with nobody to send them, while a relay looks on; then workers come."""
    rig.worker("-Q", "cleanup", "-c", "1")  # its relay must not take the backlog for a loss
    for _ in range(10):
        rig.submit(500)
    rig.pause(20.0)
    rig.expect(rig.waiting() == 5000, f"{rig.waiting()} wait in the broker, not 5000")
    rig.worker()
    began = time.time()
    rig.settle()
    pushes = rig.broker_client().info("commandstats")["cmdstat_lpush"]["calls"]
    rig.notes.append(f"{pushes} publishes")
    rig.expect(pushes <= 5050, f"{pushes} publishes of 5000 messages")
    return began
