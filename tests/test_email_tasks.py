"""The e-mail tasks: what a passenger receives, what the caller gets back, and what is refused."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import icalendar
import pytest
from pydantic import ValidationError

from app.core.config import Settings, get_settings
from app.tasks.base import DeliveryFailed
from app.tasks.email_tasks import send_booking_cancellation_email, send_booking_confirmation_email
from sandbox.standins.smtp import Behaviour
from tests import data
from tests.house import House
from tests.pdf import code, words
from tests.rows import row
from tests.tasks import SOON, refusal

pytestmark = pytest.mark.usefixtures("worker")


def cancellation(**changes: Any) -> dict[str, Any]:
    """Arguments of a cancellation."""
    return data.email(refund_amount="30000.00", refund_reference="RF-20417") | {
        "booking_data": data.booking_data(refund_amount="30000.00", refund_reference="RF-20417") | changes
    }


def files(email: dict[str, Any]) -> dict[str, bytes]:
    """The attachments of a received e-mail by name."""
    return {file["filename"]: base64.b64decode(file["content_base64"]) for file in email["attachments"]}


def trip(attached: dict[str, bytes]) -> tuple[str, Any]:
    """The method and the entry of the attached calendar."""
    calendar: Any = icalendar.Calendar.from_ical(attached["trip-PF7K2QXM.ics"])
    [event] = calendar.walk("VEVENT")
    return str(calendar["method"]), event


def received(house: House) -> dict[str, Any]:
    """The one e-mail that has come."""
    [only] = house.ledger.entries("email")
    return only


def test_a_confirmation_says_what_was_booked_in_both_parts(house: House) -> None:
    result = send_booking_confirmation_email.delay(**data.email()).get(timeout=SOON)
    assert result == {
        "success": True,
        "message": "Booking confirmation email sent",
        "booking_reference": "PF7K2QXM",
    }
    email = received(house)
    assert email["to"] == ["ada@example.com"]
    assert email["subject"].startswith("Booking confirmed: Lagos → Abuja")
    for part in (email["text"], email["html"]):
        for said in ("Ada Obi", "PF7K2QXM", "Lagos → Abuja", "12, 13", "30,000.00", "Yutong ZK6122", "10:00 WAT"):
            assert said in part


def test_a_cancellation_says_what_comes_back_in_both_parts(house: House) -> None:
    result = send_booking_cancellation_email.delay(**cancellation()).get(timeout=SOON)
    assert result == {
        "success": True,
        "message": "Booking cancellation email sent",
        "booking_reference": "PF7K2QXM",
    }
    email = received(house)
    assert email["subject"].startswith("Booking cancelled: Lagos → Abuja")
    for part in (email["text"], email["html"]):
        for said in ("Ada Obi", "PF7K2QXM", "Lagos → Abuja", "12, 13", "30,000.00", "RF-20417", "no longer valid"):
            assert said in part


def test_a_cancellation_without_refund_promises_none(house: House) -> None:
    arguments = cancellation(refund_amount=0, refund_reference=None)
    send_booking_cancellation_email.delay(**arguments).get(timeout=SOON)
    email = received(house)
    assert "Refund: none" in email["text"]
    for part in (email["subject"], email["text"], email["html"]):
        assert "None" not in part
        assert "Refund reference" not in part
        assert "ask about the refund" not in part


def test_a_cancellation_goes_before_everything_else() -> None:
    result = send_booking_cancellation_email.delay(**cancellation())
    result.get(timeout=SOON)
    assert (row(result.id) or {})["priority"] == 0


def test_a_cancellation_is_told_after_the_bus_has_left(house: House) -> None:
    left = (data.DEPARTURE - timedelta(days=4)).isoformat()
    result = send_booking_cancellation_email.delay(**cancellation(departure_time=left)).get(timeout=SOON)
    assert "skipped" not in result
    assert received(house)


@pytest.mark.parametrize("task", [send_booking_confirmation_email, send_booking_cancellation_email])
def test_a_hostile_name_stays_a_name(house: House, task: Any) -> None:
    name = '<b>Zoë & "Co"</b>'
    task.delay(**cancellation() | {"user_name": name}).get(timeout=SOON)
    email = received(house)
    assert f"Hello {name}," in email["text"]
    assert "Hello &lt;b&gt;Zoë &amp; " in email["html"]
    assert "<b>" not in email["html"]


@pytest.mark.parametrize(
    ("task", "amount"),
    [(send_booking_confirmation_email, "total_amount"), (send_booking_cancellation_email, "refund_amount")],
)
def test_every_bad_field_is_named_and_nothing_is_sent(house: House, task: Any, amount: str) -> None:
    fields = ["booking_reference", "origin", "destination", "departure_time", "seats", amount]
    bad = {"user_email": "ada", "user_name": "Ada\r\nBcc: eve@example.com", "booking_data": {}}
    named = {"user_email", "user_name", *(f"booking_data.{field}" for field in fields)}
    assert refusal(task, bad) == named
    assert refusal(task, bad | {"booking_data": dict.fromkeys(fields, True)}) == named
    assert house.ledger.entries() == []


def test_an_optional_field_must_be_right_when_it_is_given() -> None:
    assert refusal(send_booking_cancellation_email, cancellation(refund_reference="two words")) == {
        "booking_data.refund_reference"
    }
    assert refusal(send_booking_confirmation_email, data.email(arrival_time="later", bus_info=5)) == {
        "booking_data.arrival_time",
        "booking_data.bus_info",
    }


def test_currency_locale_and_time_zone_are_the_passengers(house: House) -> None:
    changes = {"currency": "XOF", "locale": "fr", "timezone": "Africa/Accra", "refund_amount": 12500}
    send_booking_cancellation_email.delay(**cancellation(**changes)).get(timeout=SOON)
    text = received(house)["text"]
    assert "12\u202f500\u00a0F\u202fCFA" in text
    assert "09:00 GMT" in text


def test_a_refused_address_is_a_failure_that_shows_no_address(house: House) -> None:
    house.smtp.script.append(Behaviour(at="RCPT", reply="550 5.1.1 ada@example.com: no such user"))
    result = send_booking_cancellation_email.delay(**cancellation())
    with pytest.raises(DeliveryFailed, match="InvalidRecipient") as caught:
        result.get(timeout=SOON)
    assert result.state == "FAILURE"
    assert "ada@" not in str(caught.value)
    assert house.ledger.entries() == []


def test_a_confirmation_brings_ticket_and_calendar_entry(house: House) -> None:
    send_booking_confirmation_email.delay(**data.email()).get(timeout=SOON)
    attached = files(received(house))
    assert set(attached) == {"ticket-PF7K2QXM.pdf", "trip-PF7K2QXM.ics"}
    assert "Ada Obi" in words(attached["ticket-PF7K2QXM.pdf"])
    assert code(attached["ticket-PF7K2QXM.pdf"]) == "PF7K2QXM"
    method, event = trip(attached)
    assert (method, event.decoded("dtstart")) == ("PUBLISH", data.DEPARTURE)


def test_a_calendar_takes_a_cancelled_trip_out_again(house: House) -> None:
    send_booking_confirmation_email.delay(**data.email()).get(timeout=SOON)
    send_booking_cancellation_email.delay(**cancellation()).get(timeout=SOON)
    before, after = map(files, house.ledger.entries("email"))
    (put, old), (taken, new) = trip(before), trip(after)
    assert (put, taken) == ("PUBLISH", "CANCEL")
    assert (new["uid"], new["organizer"]) == (old["uid"], "mailto:tickets@pafar.test")
    assert new["sequence"] > old["sequence"]


def test_the_headers_name_the_operator(house: House) -> None:
    result = send_booking_confirmation_email.delay(**data.email())
    result.get(timeout=SOON)
    headers = received(house)["headers"]
    assert headers["From"] == "Pafar <tickets@pafar.test>"
    assert headers["Message-ID"] == f"<{result.id}@pafar.test>"
    assert headers["Auto-Submitted"] == "auto-generated"
    assert not any(name.startswith("X-") for name in headers)


def test_answers_go_where_the_operator_wants_them(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_REPLY_TO", "Pafar <help@pafar.test>")
    get_settings.cache_clear()
    send_booking_confirmation_email(**data.email())
    get_settings.cache_clear()
    assert received(house)["headers"]["Reply-To"] == "Pafar <help@pafar.test>"


@pytest.mark.parametrize("value", ["help", "Pafar <help@pafar.test", "a@b.test\r\nBcc: c@d.test", "a@b, c@d.test"])
def test_an_address_for_answers_that_is_none_is_named_at_the_start(value: str) -> None:
    with pytest.raises(ValidationError, match="smtp_reply_to"):
        Settings(smtp_reply_to=value)
