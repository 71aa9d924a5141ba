"""Faults of whole workers: killed, asked to stop, frozen, with a wrong clock, and with two beats or none."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from app.core.celery_app import celery_app
from app.core.schedule import schedule
from app.notifications.store import LEASE
from sandbox.standins.script import slow
from sandbox.standins.smtp import Behaviour
from tests.faults import ledger
from tests.faults.catalogue import Skipped, fault
from tests.faults.readiness import WORKERS
from tests.faults.rig import Rig

SOON = 30.0  # seconds for what takes one on an idle machine
NEVER = 300.0  # a provider's answer that does not come


@fault(repeats=True, within=30.0)
def worker_killed_in_mid_send(rig: Rig) -> float:
    """SIGKILL to a worker while the providers hold back their answers; another worker goes on."""
    doomed = rig.worker()
    rig.stand_ins.sms.script.extend([slow(NEVER)] * 3)
    rig.stand_ins.smtp.script.append(Behaviour(at="message", accept=True, delay=NEVER))
    rig.stand_ins.fcm.script.append(slow(NEVER))
    held = rig.submit_each()
    rig.wait(lambda: rig.accepted(held) == len(held), SOON, "the providers have it all")
    doomed.kill()
    killed = time.time()
    rig.worker()
    return killed


@fault(repeats=True, copies=3, attempts=8)  # a lease ends within the kills, and what it held may meet a later one
def worker_killed_under_load(rig: Rig) -> float:
    """SIGKILL eight times to a busy worker, of two that share 4,000 texts."""
    steady, doomed = rig.worker("-c", "4"), rig.worker("-c", "24")
    for _ in range(8):
        rig.submit(480)
        rig.submit(20, "otp")
        rig.pause(rig.random.uniform(0.2, 0.8))
        doomed.kill()
        killed = time.time()
        doomed.start()
        doomed.wait_ready()
    rig.notes.append(f"{rig.unfinished()} were left after the last kill")
    rig.expect(steady.alive, "the worker that nobody killed has ended")
    return killed


@fault(repeats=True)
def last_worker_killed(rig: Rig) -> float:
    """SIGKILL to the only worker at work; 22 s later another comes, and health says both."""
    worker = rig.worker()
    readiness = rig.watch_readiness()
    rig.submit_each(5)
    with readiness.lost(WORKERS):
        worker.kill()
        rig.submit_each(5)
        rig.pause(22.0)
        rig.worker()
    back = time.time()
    rig.submit_each(5)
    return back


@fault(attempts=1)
def worker_stopped_at_work(rig: Rig) -> float:
    """SIGTERM to a worker that sends some and has more before it; another goes on."""
    worker = rig.worker("-c", "8")
    rig.stand_ins.sms.script.extend([*[slow(6.0)] * 4, *[slow(1.0)] * 16])
    held = rig.submit(4)
    rig.wait(lambda: rig.accepted(held) == 4, SOON, "four are under way")
    rig.pause(2.0)
    rig.submit(16)
    rig.wait(lambda: rig.accepted(rig.intended) >= 8, SOON, "four more are under way")
    asked = time.time()
    status = worker.terminate()
    took = time.time() - asked
    rig.notes.append(f"stopped in {took:.1f} s")
    rig.expect(status == 0, f"exit status {status} after SIGTERM")
    left = rig.celery("worker")
    left.signal(signal.SIGTERM)  # and once more, to one that has not finished starting
    left.process.wait(60)
    rig.worker()
    return asked


@fault(repeats=True)
def worker_frozen_past_its_lease(rig: Rig) -> float:
    """SIGSTOP to a worker in mid-send until its lease is over and another has sent; then SIGCONT."""
    frozen = rig.worker()
    rig.stand_ins.sms.script.extend([slow(2.0)] * 3)
    held = rig.submit() + rig.submit(1, "delay") + rig.submit(1, "otp")
    rig.wait(lambda: rig.accepted(held) == 3, SOON, "three are under way")
    frozen.signal(signal.SIGSTOP)
    stopped = time.time()
    rig.worker()
    rig.submit(5)
    rig.wait(lambda: rig.unfinished() == 0, LEASE + SOON, "the other worker has sent all")
    frozen.signal(signal.SIGCONT)
    rig.submit(20)
    rig.pause(3.0)  # the one that comes back late writes what it knows, in vain
    rig.expect(frozen.alive, "the worker did not outlive being frozen")
    return stopped


@fault(attempts=1)
def two_beats_or_none(rig: Rig) -> float:
    """Two beats at once, every scheduled task twice at the same time, and then no beat at all."""
    rig.worker()
    beats = [rig.celery("beat", "-s", str(rig.folder / f"schedule-{number}")) for number in (1, 2)]
    for beat in beats:
        beat.wait_ready("beat: Starting")
    runs = [celery_app.send_task(task) for task in schedule() for _ in beats]
    rig.submit_each(5)
    for run in runs:
        rig.wait(run.ready, SOON, "scheduled tasks are done")
        rig.expect(bool(run.successful()), f"a scheduled task ended as {run.state}")
    for beat in beats:
        rig.expect(beat.alive, "a beat has ended")
        beat.kill()
    gone = time.time()
    rig.submit_each(5)
    return gone


@fault()
def worker_with_a_wrong_clock(rig: Rig) -> float:
    """One of two workers has a clock two minutes fast, then two minutes slow."""
    library = _faketime()
    rig.worker("-c", "2")
    for skew in ("+120s", "-120s"):
        wrong = rig.worker(LD_PRELOAD=library, FAKETIME=skew, FAKETIME_DONT_FAKE_MONOTONIC="1")
        began = time.time()
        rig.submit_each(20)
        rig.wait(lambda: rig.unfinished() == 0, SOON, f"all is sent with a clock at {skew}")
        wrong.kill()
    reasons = {row["reason"] for row in ledger.rows(rig.database_url).values() if row["status"] == "failed"}
    rig.expect(not reasons, f"passengers were not told, for {', '.join(reasons)}")
    return began


def _faketime() -> str:
    found = [str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
    if not found:
        raise Skipped("libfaketime is not installed (Debian: apt install libfaketime)")
    return found[0]
