"""Faults of what the broker holds: emptied, set back by two seconds, and full of what nobody took for a while."""

from __future__ import annotations

import shutil
import time

from sandbox.standins.script import slow
from tests.faults.catalogue import fault
from tests.faults.rig import Rig
from tests.faults.workers import SOON

#: Messages a second that a worker sends at least, on a machine that others use too.
SLOWEST = 50.0


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
    """5,000 messages wait for 20 s (--full: 100,000 for 5 min) with nobody to send them; then a worker comes."""
    count, seconds = (100_000, 300.0) if rig.full else (5_000, 20.0)
    rig.patience += count / SLOWEST
    onlooker = rig.worker("-Q", "cleanup", "-c", "1")  # its relay must not take the backlog for a loss
    for _ in range(count // 500):
        rig.submit(500)
    before = onlooker.cpu_seconds()
    rig.pause(seconds)
    rig.expect(rig.waiting() == count, f"{rig.waiting()} wait in the broker, not {count}")
    used = rig.broker_client().info("memory")["used_memory"] / 2**20
    rig.notes.append(f"{used:.0f} MiB in the broker, {onlooker.cpu_seconds() - before:.1f} CPU s of the onlooker")
    rig.worker()
    began = time.time()
    rig.settle()
    pushes = rig.broker_client().info("commandstats")["cmdstat_lpush"]["calls"]
    rig.notes.append(f"{pushes} publishes")
    rig.expect(pushes <= 1.01 * count, f"{pushes} publishes of {count} messages")
    return began
