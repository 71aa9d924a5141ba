"""Faults of FCM: refusals, of all or of some of a passenger's devices, no access token, answers that are lost."""

from __future__ import annotations

import time
from typing import Any

from app.core.celery_app import celery_app
from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import replay, submit
from app.notifications.circuit import COOL_DOWN
from sandbox.standins.fcm import fcm_error
from sandbox.standins.script import ACCEPT_THEN_DROP, DROP, HANG, answer
from tests import data
from tests.faults.catalogue import fault
from tests.faults.providers import MANY, WAITING, expect_few, expect_statuses, rows
from tests.faults.rig import Rig
from tests.faults.workers import SOON

ASKED = 5.0  # seconds that FCM asks us to wait


@fault(within=30.0)
def fcm_refusals(rig: Rig) -> float:
    """An access token that has expired; 429 with Retry-After; 404 for a dead device; 503."""
    rig.worker()
    fcm, first = rig.stand_ins.fcm, rig.submit(1, "push")
    rig.wait(lambda: rig.accepted(first) == 1, SOON, "the first push is sent")
    fcm.revoke()
    expired = rig.submit(20, "push")
    rig.wait(lambda: rig.unfinished() == 0, SOON, "all is sent with a new access token")
    rig.expect(fcm.grants == 2, f"{fcm.grants} access tokens fetched, expected 2")
    tries = {row["attempt"] for row in rows(rig, expired)}
    rig.expect(tries == {1}, f"an expired access token took {max(tries)} attempts, expected 1")

    fcm.script.extend([fcm_error("QUOTA_EXCEEDED", headers={"Retry-After": f"{ASKED:g}"})] * 10)
    asked, before = time.time(), len(rig.entries.entries("push"))
    rig.submit(10, "push")
    rig.wait(lambda: rig.unfinished() == 0, SOON, "the limited ones are sent")
    early = [e for e in rig.entries.entries("push")[before:] if e["at"] < asked + ASKED]
    rig.expect(not early, f"{len(early)} were sent before the time that FCM asked for")

    fcm.script.extend([fcm_error("UNREGISTERED"), fcm_error("UNAVAILABLE")])
    refused = rig.submit(2, "push")
    done = time.time()
    rig.settle()
    expect_statuses(rig, refused, sent=1, failed=1)
    return done


@fault(within=30.0)
def fcm_partial_failure(rig: Rig) -> float:
    """Of six devices one is gone and two can't be reached for a while: only these two are tried again."""
    rig.worker()
    busy, dead = ["busy-1", "busy-2"], "gone"
    fcm = rig.stand_ins.fcm
    fcm.tokens.update({token: fcm_error("UNAVAILABLE") for token in busy} | {dead: fcm_error("UNREGISTERED")})
    id_ = _submit_to(rig, ["well-1", busy[0], "well-2", dead, busy[1], "well-3"])
    rig.wait(lambda: rows(rig, [id_])[0]["reason"], SOON, "the first attempt is over")
    for token in busy:
        del fcm.tokens[token]
    back = time.time()
    rig.settle()
    result: Any = celery_app.AsyncResult(id_).result
    counts = result["sent_count"], result["failed_count"]
    rig.expect(counts == (5, 1), f"{counts} sent and failed, expected (5, 1)")
    return back


@fault(repeats=True)
def fcm_answers_lost(rig: Rig) -> float:
    """Accepted and then reset, reset without taking it, no answer at all, on a connection that all share."""
    rig.worker()
    script = rig.stand_ins.fcm.script
    for behaviour in (ACCEPT_THEN_DROP, DROP):
        script.append(behaviour)
        rig.submit(4, "push")
        rig.wait(lambda: not script and rig.unfinished() == 0, SOON, "all is sent in spite of a reset")
    script.append(HANG)
    rig.submit(1, "push")
    done = time.time()
    rig.settle()
    expect_statuses(rig, rig.intended, sent=len(rig.intended))
    unknown = sum(row["unknown_attempts"] for row in rows(rig, rig.intended))
    rig.notes.append(f"{unknown} unknown attempts")
    rig.expect(unknown >= 3, f"{unknown} unknown attempts, expected 3 or more")
    return done


@fault(within=60.0, attempts=5)
def fcm_token_endpoint_down(rig: Rig) -> float:
    """The token endpoint answers 503, later 401, with pushes waiting that need a new token: few calls."""
    rig.worker()
    fcm, first = rig.stand_ins.fcm, rig.submit(1, "push")
    rig.wait(lambda: rig.accepted(first) == 1, SOON, "the first push is sent")
    for refusal in answer(503, {"error": "unavailable"}), answer(401, {"error": "invalid_client"}):
        fcm.revoke()
        fcm.grant_script.extend([refusal] * MANY)
        rig.submit(WAITING, "push")
        rig.wait(lambda: all(row["attempt"] for row in rows(rig, rig.intended)), SOON, "each has had its turn")
        rig.pause(3.0)
        expect_few(rig, f"{refusal.status}", MANY - len(fcm.grant_script), tries=SOON / COOL_DOWN)
        fcm.grant_script.clear()
        mended = time.time()
        rig.settle()
    with transaction() as connection:
        rig.notes.append(f"{replay.replay(connection, replay.Choice(reason='Misconfigured'))} replayed")
    rig.settle()
    expect_statuses(rig, rig.intended, sent=1 + 2 * WAITING)
    return mended


def _submit_to(rig: Rig, tokens: list[str]) -> str:
    """One push to several devices of a passenger."""
    with transaction() as connection:
        accepted = submit.accept(connection, KINDS["booking_confirmation_push"], data.push(tokens))
    return rig.intend([str(accepted.id)], [accepted.wake_up] if accepted.wake_up else [])[0]
