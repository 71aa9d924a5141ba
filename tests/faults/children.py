"""Faults of a prefork pool's children: killed in mid-send, ended by their own task, replaced all the time."""

from __future__ import annotations

import time

from sandbox.standins.script import slow
from tests.faults import crashing
from tests.faults.catalogue import fault
from tests.faults.rig import Rig
from tests.faults.workers import NEVER, SOON


@fault(repeats=True, within=30.0)
def child_killed_in_mid_send(rig: Rig) -> float:
    """SIGKILL to the pool children that wait for a provider's answer; their parent goes on."""
    worker = rig.worker("-P", "prefork", "-c", "2")
    rig.stand_ins.sms.script.extend([slow(NEVER)] * 2)
    held = rig.submit() + rig.submit(1, "otp")
    rig.wait(lambda: rig.accepted(held) == 2, SOON, "both children have sent")
    for child in worker.children():
        child.kill()
    killed = time.time()
    rig.submit_each(5)
    rig.wait(lambda: rig.unfinished() == 0, 60, "new children have sent all")
    rig.expect(worker.alive, "the parent has ended too")
    return killed


@fault()
def child_ended_by_its_task(rig: Rig) -> float:
    """Tasks that end their child by SIGKILL, os._exit, a segfault, a memory limit and the hard time limit."""
    rig.worker("-P", "prefork", "-c", "3", app="tests.faults.crashing")
    began = time.time()
    ways = list(crashing.STARTS)
    for together in ways[:-1], ways[-1:]:
        files = {way: rig.folder / f"starts-{way}" for way in together}
        runs = [(way, crashing.start(way, files[way])) for way in together]
        rig.submit_each(5)
        for way, run in runs:
            rig.wait(run.ready, 90, f"the task that ends by {way} is over")
            rig.expect(run.state == "FAILURE", f"{way}: Celery says {run.state}")
            count, allowed = len(files[way].read_bytes()), crashing.STARTS[way]
            rig.expect(count == allowed, f"{way}: started {count} times, expected {allowed}")
        rig.supervise()  # what would a supervisor have to do for the last one?
    rig.settle()
    rig.expect(rig.restarts == 0, f"the worker itself ended {rig.restarts} times")
    return began


@fault(attempts=1)
def child_replaced_after_each_task(rig: Rig) -> float:
    """A memory limit that every pool child is above: each is replaced after one task."""
    rig.worker("-P", "prefork", "-c", "2", "--max-memory-per-child", "1")
    began = time.time()
    rig.submit_each(10)
    return began
