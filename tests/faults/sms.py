"""Faults of the SMS gateway: refusals, and answers that don't come."""

from __future__ import annotations

import time

from app.core.database import transaction
from app.notifications import replay
from app.notifications.circuit import COOL_DOWN
from sandbox.standins.script import ACCEPT_THEN_DROP, DROP, HANG, answer
from tests.faults.catalogue import fault
from tests.faults.providers import MANY, expect_few, expect_statuses, rows
from tests.faults.rig import Rig
from tests.faults.workers import SOON

ASKED = 5.0  # seconds that the gateway asks us to wait


@fault(within=30.0)
def sms_refusals(rig: Rig) -> float:
    """429 with Retry-After, 500, a number refused, 200 with an error inside, 200 without an id."""
    rig.worker()
    script = rig.stand_ins.sms.script
    script.extend([answer(429, {"error": "too_many"}, headers={"Retry-After": f"{ASKED:g}"})] * 10)
    asked = time.time()
    limited = rig.submit(10)
    rig.wait(lambda: rig.accepted(limited) == len(limited), SOON, "the limited ones are sent")
    early = [e for e in rig.entries.entries("sms") if e["at"] < asked + ASKED]
    rig.expect(not early, f"{len(early)} were sent before the time that the gateway asked for")
    script.extend(
        [
            answer(500, b"oops"),
            answer(422, {"error": {"code": "invalid_number", "field": "to"}}),
            answer(200, {"error": {"code": "content_refused"}}),
            answer(200, {"status": "rejected"}),
            answer(202, b"thank you"),
        ]
    )
    refused = rig.submit(5)
    done = time.time()
    rig.settle()
    expect_statuses(rig, refused, sent=2, failed=3)
    return done


@fault(within=60.0, attempts=5)
def sms_credit_used_up(rig: Rig) -> float:
    """The gateway's credit is used up with 100 waiting: the channel stops, few fail, and all goes out after."""
    script = rig.stand_ins.sms.script
    script.extend([answer(200, {"error": {"code": "no_credit"}})] * MANY)
    refused = rig.submit(100)
    rig.worker()
    rig.wait(lambda: all(row["attempt"] for row in rows(rig, refused)), SOON, "every message had its turn")
    expect_few(rig, "SMS", MANY - len(script), tries=SOON / COOL_DOWN)
    script.clear()
    paid = time.time()
    with transaction() as connection:
        replayed = replay.replay(connection, replay.Choice(reason="no_credit"))
    rig.expect(0 < replayed < len(refused), f"{replayed} had failed, of {len(refused)}: none, or each was tried")
    rig.settle()
    expect_statuses(rig, refused, sent=len(refused))
    return paid


@fault(repeats=True)
def sms_answers_lost(rig: Rig) -> float:
    """Accepted and then reset, a one-time code among them; reset without taking it; no answer at all."""
    rig.worker()
    script = rig.stand_ins.sms.script
    script.append(ACCEPT_THEN_DROP)
    code = rig.submit(1, "otp")
    rig.wait(lambda: not script, SOON, "the gateway has taken the code")
    lost = [ACCEPT_THEN_DROP, DROP, HANG]
    script.extend(lost)
    unanswered = rig.submit(len(lost))
    done = time.time()
    rig.settle()
    expect_statuses(rig, code, unknown=1)
    expect_statuses(rig, unanswered, sent=len(lost))
    unknown = [row["unknown_attempts"] for row in rows(rig, unanswered)]
    rig.expect(unknown == [1] * len(lost), f"unknown attempts {unknown}, expected 1 each")
    return done
