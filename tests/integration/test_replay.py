"""Failed messages go again when an operator says so: those that were chosen, if they still have a point."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.core.celery_app import celery_app
from app.core.database import transaction
from app.messages.base import Kind
from app.messages.kinds import KINDS
from app.notifications import overview, submit
from app.notifications.deliver import deliver
from app.notifications.outcome import Failed, Sent, Skipped, Unanswered
from app.notifications.replay import Choice, Found, find, replay
from app.providers.errors import InvalidRecipient, OutcomeUnknown, ProviderError, Rejected, Transient
from app.providers.memory import MemorySms
from app.tasks.base import DeliveryFailed
from app.tasks.sms_tasks import send_booking_confirmation_sms
from sandbox.standins.script import answer
from tests import data
from tests.house import House, wait_until
from tests.rows import change, row, rows, to_do

SMS, PUSH = KINDS["booking_confirmation_sms"], KINDS["booking_confirmation_push"]
DELAY, OTP = KINDS["trip_delay_sms"], KINDS["otp_sms"]

#: Generous: the machine may be busy with something else.
SOON = 30.0

pytestmark = pytest.mark.usefixtures("house")


def failed(
    gateway: MemorySms, kind: Kind = SMS, arguments: dict[str, Any] | None = None, why: ProviderError | None = None
) -> UUID:
    message_id = submit.accept_now(kind, arguments or data.sms())
    gateway.script.append(why or Rejected("spam"))
    assert isinstance(deliver(message_id), Failed)
    return message_id


def status(message_id: UUID) -> str:
    return str((row(message_id) or {})["status"])


def looked_for(**conditions: Any) -> Found:
    with transaction() as connection:
        return find(connection, Choice(**conditions))


def replayed(**conditions: Any) -> int:
    with transaction() as connection:
        return replay(connection, Choice(**conditions))


def pafar(*arguments: str) -> tuple[int, str]:
    """Exit code and what was said."""
    ran = CliRunner().invoke(app, ["replay", *arguments])
    return ran.exit_code, ran.output


def test_what_is_replayed_is_due_at_once_and_goes_out(gateway: MemorySms) -> None:
    message_id = failed(gateway)
    assert replayed(ids=[message_id]) == 1
    message = row(message_id) or {}
    assert (message["status"], message["reason"], message["finished_at"]) == ("queued", None, None)
    [line] = to_do()
    assert (line["task"], line["queue"], line["priority"]) == (SMS.task, SMS.queue, SMS.priority)
    assert (line["published_at"], line["attempt"]) == (None, 0)  # the relay publishes it
    assert isinstance(deliver(message_id), Sent)
    assert (row(message_id) or {})["attempt"] == 2
    assert replayed(ids=[message_id]) == 0


def test_each_condition_chooses_and_all_that_are_given_must_hold(gateway: MemorySms) -> None:
    spam, dead = failed(gateway), failed(gateway, why=InvalidRecipient("no such number", code="21614"))
    delay = failed(gateway, DELAY, data.delay())
    now = datetime.now(UTC)
    change("UPDATE notifications SET created_at = :then WHERE id = :id", then=now - timedelta(minutes=50), id=dead)

    def chosen(**conditions: Any) -> int:
        return sum(count for _, _, count in looked_for(**conditions).replayable)

    assert chosen() == 3
    assert chosen(ids=[spam, delay]) == 2
    assert chosen(ids=[]) == 0
    assert chosen(kind="trip_delay_sms") == 1
    assert chosen(reason="INVALIDrecipient") == chosen(reason="21614") == 1
    assert chosen(reason="100%") == chosen(reason="_") == 0  # a part of the text, no pattern
    assert chosen(since=now - timedelta(minutes=30)) == 2
    assert chosen(until=now - timedelta(minutes=30)) == 1
    assert chosen(since=now - timedelta(minutes=55), until=now - timedelta(minutes=45)) == 1
    assert chosen(ids=[spam], kind="trip_delay_sms") == 0
    assert replayed(kind=SMS.name, reason="spam", since=now - timedelta(minutes=30)) == 1
    assert [status(message_id) for message_id in (spam, dead, delay)] == ["queued", "failed", "failed"]


def test_what_it_would_do_is_counted_by_kind_and_reason_and_nothing_is_done(gateway: MemorySms) -> None:
    for arguments in (data.sms(), data.sms(), data.sms(booking_reference="PFOTHER1")):
        failed(gateway, arguments=arguments)
    failed(gateway, DELAY, data.delay())
    before = (rows(), to_do())
    assert looked_for().replayable == [(SMS.name, "Rejected: spam", 3), (DELAY.name, "Rejected: spam", 1)]
    assert (rows(), to_do()) == before


def test_what_has_lost_its_point_or_its_payload_is_counted_and_left_alone(gateway: MemorySms) -> None:
    late, wiped, both = failed(gateway), failed(gateway, OTP, data.otp()), failed(gateway, OTP, data.otp())
    change("UPDATE notifications SET valid_until = clock_timestamp() WHERE id IN (:a, :b)", a=late, b=both)
    assert looked_for() == Found([], too_late=2, wiped=1)
    assert replayed() == 0
    assert [status(message_id) for message_id in (late, wiped, both)] == ["failed"] * 3
    assert to_do() == []


def test_a_message_of_a_kind_that_is_gone_is_counted_and_left_alone(gateway: MemorySms) -> None:
    message_id = failed(gateway)
    change("UPDATE notifications SET kind = 'carrier_pigeon'")
    assert looked_for() == Found([], too_late=0, wiped=0, retired=1)
    assert replayed() == 0
    assert (status(message_id), to_do()) == ("failed", [])  # queued without a to-do line it would wait for good
    with transaction() as connection:
        assert not (overview.detail(connection, message_id) or {})["replayable"]
    assert pafar("--all")[1].splitlines() == [
        "      1  are of a kind that there is no more: left alone",
        "0 are sent again.",
    ]


def test_what_may_have_been_sent_is_no_dead_letter(gateway: MemorySms) -> None:
    message_id = submit.accept_now(SMS, data.sms())
    change("UPDATE notifications SET valid_until = clock_timestamp() + interval '30 seconds'")
    gateway.script.append(OutcomeUnknown(retry_after=60.0))  # too late for another attempt
    assert isinstance(deliver(message_id), Unanswered)
    assert (status(message_id), replayed()) == ("unknown", 0)


def test_only_failed_messages_go_again(gateway: MemorySms) -> None:
    sent, waiting = submit.accept_now(SMS, data.sms()), submit.accept_now(SMS, data.sms())
    deliver(sent)
    gateway.script.append(Transient("try later"))
    deliver(waiting)
    superseded = submit.accept_now(DELAY, data.delay(10))
    submit.accept_now(DELAY, data.delay(20))
    deliver(superseded)
    before = (rows(), to_do())
    assert replayed() == replayed(ids=[sent, waiting, superseded]) == 0
    assert (rows(), to_do()) == before


def test_two_operators_at_once_replay_each_message_once(gateway: MemorySms) -> None:
    for _ in range(20):
        failed(gateway)
    start = Barrier(4)

    def operator(_: int) -> int:
        start.wait()
        return replayed()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(operator, range(4))) == 20
    assert len(to_do()) == 20


def test_a_delay_that_failed_is_superseded_if_a_newer_one_was_told(gateway: MemorySms) -> None:
    older = failed(gateway, DELAY, data.delay(45))
    deliver(submit.accept_now(DELAY, data.delay(90)))
    assert replayed() == 1
    assert isinstance(deliver(older), Skipped)
    assert ["1 h 30 min" in text.text for text in gateway.sent] == [True]


def test_the_command_demands_a_condition_and_knows_the_kinds(gateway: MemorySms) -> None:
    message_id = failed(gateway)
    for arguments in ((), ("--dry-run",), ("--kind", "carrier_pigeon"), ("--id", "no-id"), ("--since", "soon")):
        assert pafar(*arguments)[0] == 2
    assert status(message_id) == "failed"
    assert pafar("--all") == (0, f"      1  {SMS.name}: Rejected: spam\n1 are sent again.\n")
    assert status(message_id) == "queued"


def test_the_command_says_what_it_would_do_and_what_it_leaves(gateway: MemorySms) -> None:
    first, second, _ = failed(gateway), failed(gateway), failed(gateway, OTP, data.otp())
    change("UPDATE notifications SET valid_until = clock_timestamp() WHERE id = :id", id=second)
    said = [f"      1  {SMS.name}: Rejected: spam", "      1  have lost their point: left alone"]
    said += ["      1  were sensitive and are wiped: left alone"]
    chosen = ("--since", "2024-01-01", "--reason", "SPAM")
    code, output = pafar(*chosen, "--dry-run")
    assert (code, output.splitlines()) == (0, [*said, "1 would be sent again; nothing was."])
    assert pafar("--until", "2024-01-01") == (0, "0 are sent again.\n")
    code, output = pafar(*chosen, "--id", str(first), "--id", str(second))
    assert (code, output.splitlines()) == (0, [*said[:2], "1 are sent again."])
    assert (status(first), status(second)) == ("queued", "failed")


def test_after_a_replay_celery_too_calls_it_a_success(house: House) -> None:
    house.sms.script.append(answer(422, {"error": {"code": "blocked"}}))
    with house.worker():
        result = send_booking_confirmation_sms.delay(**data.sms())
        with pytest.raises(DeliveryFailed):
            result.get(timeout=SOON)
        assert pafar("--id", result.id)[0] == 0
        # A new look each time: an AsyncResult remembers a failure.
        wait_until(lambda: celery_app.AsyncResult(result.id).state == "SUCCESS", SOON)
    assert len(house.ledger.entries("sms")) == 1
