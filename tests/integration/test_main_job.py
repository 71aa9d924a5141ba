"""A booking is made, and its passenger is told by e-mail, SMS and push: on real servers, by a real worker."""

from __future__ import annotations

import time
from contextlib import suppress
from subprocess import Popen
from typing import Any

import pytest

from app.bookings.confirm import pay
from app.bookings.seats import hold
from app.core.celery_app import celery_app
from app.core.database import session
from app.tasks.email_tasks import send_booking_confirmation_email
from app.tasks.push_notification_tasks import send_booking_confirmation_push
from app.tasks.sms_tasks import send_booking_confirmation_sms
from sandbox.standins.script import answer
from tests import data
from tests.house import House, wait_until
from tests.rows import row, rows, to_do

pytestmark = pytest.mark.usefixtures("worker")

#: Generous: the machine may be busy with something else.
SOON = 30.0


def book(*seats: str) -> tuple[str, list[str]]:
    """Book and pay in one transaction: (reference, message ids)."""
    trip, user = data.make_trip()
    with session() as s:
        booking = hold(s, trip_id=trip, user_id=user, seats=seats)
        return booking.reference, pay(s, booking, method="card")


def test_each_channel_gets_exactly_one_message_that_says_what_was_booked(house: House) -> None:
    reference, ids = book("12", "13")
    for message_id in ids:
        celery_app.AsyncResult(message_id).get(timeout=SOON)

    email, sms, push = by_channel(house, receipts=1)
    assert email["to"] == ["ada@example.com"]
    for part in (email["text"], email["html"]):
        for said in (reference, "Lagos", "Abuja", "12, 13", "30,000"):
            assert said in part
    assert sms["to"] == "+2348031234567"
    for said in (reference, "Lagos", "Abuja", "12, 13", "30,000"):
        assert said in sms["message"]
    assert push["token"] == "token-of-adas-phone"
    assert reference in push["body"]
    assert push["data"]["booking_reference"] == reference

    [receipt] = [message for message in house.ledger.entries("email") if message != email]
    assert reference in receipt["subject"]
    assert "30,000" in receipt["text"]

    messages = [row(message_id) for message_id in ids]
    assert [m and m["status"] for m in messages] == ["sent"] * 4
    assert [m and m["provider_id"] for m in messages] == [email["id"], sms["id"], push["id"], receipt["id"]]
    assert to_do() == []


def test_each_result_says_what_was_sent(house: House) -> None:
    reference, ids = book("12", "13")
    results = [celery_app.AsyncResult(message_id).get(timeout=SOON) for message_id in ids]
    _, sms, _ = by_channel(house, receipts=1)
    for result in results:
        assert result["success"] is True
        assert result["message"]
    assert [result["booking_reference"] for result in results[:3]] == [reference] * 3
    assert results[3]["transaction_id"].startswith("TX-")
    assert results[1]["sms_id"] == sms["id"]
    assert (results[2]["sent_count"], results[2]["failed_count"]) == (1, 0)


def test_delay_alone_is_enough(house: House) -> None:
    results = [
        send_booking_confirmation_email.delay(**data.email()),
        send_booking_confirmation_sms.delay(**data.sms()),
        send_booking_confirmation_push.delay(**data.push()),
    ]
    for result in results:
        assert result.get(timeout=SOON)["booking_reference"] == "PF7K2QXM"
        assert result.state == "SUCCESS"
    assert len(by_channel(house)) == 3


def test_what_is_rolled_back_is_never_told(house: House) -> None:
    trip, user = data.make_trip()
    with suppress(RuntimeError), session() as s:
        pay(s, hold(s, trip_id=trip, user_id=user, seats=["1"]), method="card")
        raise RuntimeError("the payment provider refused")
    time.sleep(1)
    assert rows() == []
    assert house.ledger.entries() == []


def test_a_booking_succeeds_while_the_broker_is_down_and_is_told_when_it_is_back(house: House) -> None:
    house.valkey.stop()
    try:
        started = time.monotonic()
        _, ids = book("5")
        first = time.monotonic() - started
        started = time.monotonic()
        send_booking_confirmation_sms.delay(**data.sms())
        second = time.monotonic() - started
        assert [m["status"] for m in rows()] == ["queued"] * 5
    finally:
        house.valkey.restart()
    back = time.monotonic()
    wait_until(lambda: all((row(i) or {})["status"] == "sent" for i in ids), SOON)
    told = time.monotonic() - back
    print(f"first {first:.2f} s, next {second:.2f} s, told {told:.1f} s after the broker's return")
    assert second < first + 0.5  # the breaker spared it the wait
    assert len(house.ledger.entries("email")) == 2


def test_a_refused_number_is_a_failure_for_everybody_to_see(house: House) -> None:
    house.sms.script.append(answer(400, {"error": {"code": "invalid_number", "field": "to"}}))
    result = send_booking_confirmation_sms.delay(**data.sms())
    with pytest.raises(Exception, match="InvalidRecipient"):
        result.get(timeout=SOON)
    assert result.state == "FAILURE"
    message = row(result.id)
    assert message
    assert message["status"] == "failed"
    assert "+234" not in message["reason"]


def test_a_message_that_could_not_go_now_goes_later(house: House) -> None:
    house.sms.script.extend([answer(503, b""), answer(503, b"")])
    result = send_booking_confirmation_sms.delay(**data.sms())
    assert result.get(timeout=SOON)["success"] is True
    message = row(result.id)
    assert message
    assert message["attempt"] == 3
    assert len(house.ledger.entries("sms")) == 1


def test_nothing_personal_lies_in_the_broker(house: House, worker: Popen[bytes]) -> None:
    watch = house.valkey_client(1).monitor()
    with watch as seen:
        send_booking_confirmation_sms.delay(**data.sms()).get(timeout=SOON)
        house.valkey_client(1).echo("that is all")
        said = []
        for command in seen.listen():
            said.append(str(command))
            if "that is all" in str(command):
                break
    everything = "\n".join(said)
    assert "8031234567" not in everything
    assert "Ada" not in everything


def by_channel(house: House, *, receipts: int = 0) -> list[dict[str, Any]]:
    """The one e-mail besides receipts, the one SMS and the one push that were received."""
    wait_until(lambda: len(house.ledger.entries()) >= 3 + receipts, SOON)
    emails = [email for email in house.ledger.entries("email") if not email["subject"].startswith("Payment")]
    [email], [sms], [push] = emails, house.ledger.entries("sms"), house.ledger.entries("push")
    assert len(house.ledger.entries("email")) == 1 + receipts
    return [email, sms, push]
