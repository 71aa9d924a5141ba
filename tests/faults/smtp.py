"""Faults of the mail server: refusals, no encryption to be had, and answers that don't come."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sandbox.standins.smtp import Behaviour, SmtpStandIn
from sandbox.standins.tls import issue
from tests.faults import canaries
from tests.faults.catalogue import fault
from tests.faults.providers import expect_statuses, rows
from tests.faults.proxy import Direction, FaultProxy
from tests.faults.rig import Rig
from tests.faults.workers import NEVER, SOON
from tests.rows import change, due_again, to_do

GREYLISTED = 300.0  # seconds that a mailbox gets which is busy, or does not know us yet


@fault(within=30.0)
def smtp_refusals(rig: Rig) -> float:
    """421, 451, 452 and 550 at every point of the dialogue: all but 550 are tried again, RCPT after 5 min."""
    rig.worker()
    ids = _submit_each(
        rig,
        [
            Behaviour(at="MAIL", reply="421 4.3.2 Shutting down", close=True),
            Behaviour(at="RCPT", reply="451 4.7.1 Greylisted"),
            Behaviour(at="RCPT", reply="550 5.1.1 No such user"),
            Behaviour(at="DATA", reply="452 4.3.1 No room"),
            Behaviour(at="message", reply="451 4.3.0 Try later"),
            Behaviour(at="message", reply="550 5.7.1 Not wanted"),
        ],
    )
    done = time.time()
    rig.wait(lambda: rig.unfinished() == 1, SOON, "all but the greylisted one are final")
    [waits] = to_do()
    wait = (waits["due_at"] - datetime.now(UTC)).total_seconds()
    rig.expect(wait > GREYLISTED - SOON, f"the greylisted one comes again in {wait:.0f} s")
    due_again()  # five minutes later
    change("UPDATE outbox SET due_at = clock_timestamp()")
    rig.settle()
    expect_statuses(rig, ids, sent=4, failed=2)
    return done


@fault(attempts=4)
def smtp_without_encryption(rig: Rig) -> float:
    """A mail server that offers no STARTTLS, then one with an unknown CA's certificate: nothing goes in clear."""
    ours, strangers = issue(rig.folder / "ours"), issue(rig.folder / "strangers")
    user, password = rig.environment["SMTP_USER"], rig.environment["SMTP_PASSWORD"]
    servers = [
        SmtpStandIn(rig.entries, ours, user=user, password=password, security="none"),
        SmtpStandIn(rig.entries, strangers, user=user, password=password),
    ]
    failed = [id_ for server in servers for id_ in _send_through(rig, server)]
    rig.expect(rig.accepted(failed) == 0, "a message was handed over all the same")
    expect_statuses(rig, failed, failed=len(failed))
    reasons = {str(row["reason"]).partition(":")[0] for row in rows(rig, failed)}
    rig.expect(reasons == {"Misconfigured"}, f"the reasons say {', '.join(reasons)}")
    mended = time.time()
    rig.worker()
    rig.submit(5, "email")
    return mended


@fault(repeats=True)
def smtp_answers_lost(rig: Rig) -> float:
    """A slow answer; closed after the whole message with and without taking it; silence; cut half-way."""
    rig.worker()
    lost = [
        Behaviour(at="message", accept=True, close=True),
        Behaviour(at="message", close=True),
        Behaviour(at="message", accept=True, delay=NEVER),
    ]
    slow = _submit_each(rig, [Behaviour(at="message", accept=True, delay=3.0)])
    unanswered = _submit_each(rig, lost)
    done = time.time()
    rig.smtp_proxy.cut_after(1500, "to_server")  # in the middle of the login or of the message
    cut = rig.submit(1, "email")
    rig.settle()
    expect_statuses(rig, slow + unanswered + cut, sent=len(slow + unanswered + cut))
    unknown = [row["unknown_attempts"] for row in rows(rig, slow + unanswered)]
    rig.expect(unknown == [0, 1, 1, 1], f"unknown attempts {unknown}, expected 0, 1, 1, 1")
    return done


def _submit_each(rig: Rig, behaviours: Iterable[Behaviour]) -> list[str]:
    """An e-mail for each behaviour, one after the other, as the script waits for one point of the dialogue."""
    script, ids = rig.stand_ins.smtp.script, list[str]()
    for behaviour in behaviours:
        script.append(behaviour)
        ids += rig.submit(1, "email")
        rig.wait(lambda: not script, SOON, f"the server is at {behaviour.at}")
    return ids


def _send_through(rig: Rig, server: SmtpStandIn) -> list[str]:
    """Have a worker send one e-mail by this server, and listen on the wire for what is nobody's business."""
    with server, _Tap(server.port) as tap:
        worker = rig.worker(SMTP_PORT=str(tap.port))
        ids = rig.submit(1, "email")
        rig.wait(lambda: rig.unfinished() == 0, SOON, "the message is final")
        worker.kill()
    private = {"the password": rig.environment["SMTP_PASSWORD"], "the address": "ada@example.com"}
    leaks = canaries.leaks(private, {"what went over the wire": bytes(tap.heard)})
    rig.failures += [leak.text for leak in leaks]
    rig.expect(bool(tap.heard), "the worker never spoke to the server")
    return ids


class _Tap(FaultProxy):
    """Keeps what the client says."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.heard = bytearray()

    def pass_on(self, link: Any, data: bytes, direction: Direction) -> None:
        if direction == "to_server":
            self.heard += data
        super().pass_on(link, data, direction)
