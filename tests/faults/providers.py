"""Faults of all providers at once: an outage, and credentials that are refused. What their faults share."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

from app.core.database import transaction
from app.notifications import replay
from app.notifications.circuit import COOL_DOWN
from app.worker import THREADS
from sandbox.standins.script import answer
from sandbox.standins.smtp import Behaviour
from tests.faults import ledger
from tests.faults.catalogue import fault
from tests.faults.rig import Rig
from tests.faults.workers import SOON

WAITING = 200  # messages on each channel
MANY = 10_000  # more answers than anybody asks for
OUTAGE = 20.0  # seconds


@fault(within=60.0, attempts=5)
def providers_out(rig: Rig) -> float:
    """All three providers fail for 20 s with 200 messages waiting for each: few calls, and all goes out after."""
    scripts: dict[str, deque[Any]] = {
        "SMTP": rig.stand_ins.smtp.script,
        "SMS": rig.stand_ins.sms.script,
        "FCM": rig.stand_ins.fcm.script,
    }
    rig.stand_ins.smtp.script.extend([Behaviour(at="AUTH", reply="454 4.7.0 Later", close=True)] * MANY)
    rig.stand_ins.sms.script.extend([answer(503, {"error": "down"})] * MANY)
    rig.stand_ins.fcm.script.extend([answer(500, b"down")] * MANY)
    rig.worker()
    rig.watch_readiness()  # messages are accepted all the same
    _submit_confirmations(rig)
    rig.pause(OUTAGE)
    for name, script in scripts.items():
        expect_few(rig, name, MANY - len(script), tries=OUTAGE / COOL_DOWN)
        script.clear()
    back = time.time()
    rig.settle()
    expect_statuses(rig, rig.intended, sent=3 * WAITING)
    return back


@fault(within=60.0, attempts=5)
def credentials_refused(rig: Rig) -> float:
    """All three providers refuse our credentials: each channel stops; mended, what had failed is replayed."""
    scripts: dict[str, deque[Any]] = {
        "SMTP": rig.stand_ins.smtp.script,
        "SMS": rig.stand_ins.sms.script,
        "FCM": rig.stand_ins.fcm.grant_script,
    }
    rig.stand_ins.smtp.script.extend([Behaviour(at="AUTH", reply="535 5.7.8 Credentials invalid")] * MANY)
    rig.stand_ins.sms.script.extend([answer(401, {"error": "unauthorized"})] * MANY)
    rig.stand_ins.fcm.grant_script.extend([answer(400, {"error": "invalid_grant"})] * MANY)
    rig.worker()
    _submit_confirmations(rig)
    rig.wait(lambda: all(row["attempt"] for row in rows(rig, rig.intended)), SOON, "every message had its turn")
    rig.pause(3.0)
    for name, script in scripts.items():
        expect_few(rig, name, MANY - len(script), tries=SOON / COOL_DOWN)
        script.clear()
    mended = time.time()
    failed = _statuses(rig, rig.intended)["failed"]
    rig.expect(failed > 0, "nobody was told: no message has failed")
    with transaction() as connection:
        replayed = replay.replay(connection, replay.Choice(reason="Misconfigured"))
    rig.notes.append(f"{replayed} replayed")
    rig.settle()
    expect_statuses(rig, rig.intended, sent=3 * WAITING)
    return mended


def _submit_confirmations(rig: Rig) -> None:
    for channel in ("email", "sms", "push"):
        rig.submit(WAITING, channel)


def expect_few(rig: Rig, provider: str, calls: int, *, tries: float) -> None:
    """Those under way when it began, and one whenever the circuit lets one through; not one for each message."""
    rig.notes.append(f"{provider} {calls} calls")
    allowed = THREADS + tries
    rig.expect(0 < calls <= allowed, f"{provider}: {calls} calls during the outage, allowed {allowed:g}")


def rows(rig: Rig, ids: Iterable[str]) -> list[Mapping[str, Any]]:
    """The rows of these messages."""
    found = ledger.rows(rig.database_url)
    return [found[id_] for id_ in ids]


def expect_statuses(rig: Rig, ids: Iterable[str], **expected: int) -> None:
    """Note a breach unless this many of the messages have each status, and no others have any."""
    found = _statuses(rig, ids)
    rig.expect(found == Counter(expected), f"statuses {dict(found)}, expected {expected}")


def _statuses(rig: Rig, ids: Iterable[str]) -> Counter[str]:
    return Counter(str(row["status"]) for row in rows(rig, ids))
