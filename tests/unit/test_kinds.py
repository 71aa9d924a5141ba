"""The rules of each kind of message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.messages.base import Channel, Validity
from app.messages.kinds import KINDS, kind_for_task
from app.messages.payloads import Defaults, validate

DEFAULTS = Defaults(currency="NGN", locale="en_NG", timezone="Africa/Lagos", phone_region=None)
BOOKING = {
    "booking_reference": "PF7K2Q",
    "origin": "Lagos",
    "destination": "Abuja",
    "departure_time": "2024-01-15 10:00:00",
    "seats": ["12A"],
    "total_amount": 15000,
}
ARGUMENTS: dict[str, Any] = {
    "user_email": "ada@example.com",
    "phone_number": "+2348031234567",
    "device_tokens": ["token"],
    "user_name": "Ada",
    "booking_data": BOOKING,
}
DEPARTURE = datetime(2024, 1, 15, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "task", "queue"),
    [
        ("booking_confirmation_email", "app.tasks.email_tasks.send_booking_confirmation_email", "email"),
        ("booking_confirmation_sms", "app.tasks.sms_tasks.send_booking_confirmation_sms", "sms"),
        (
            "booking_confirmation_push",
            "app.tasks.push_notification_tasks.send_booking_confirmation_push",
            "notifications",
        ),
    ],
)
def test_confirmations_have_the_agreed_names_and_rules(name: str, task: str, queue: str) -> None:
    kind = KINDS[name]
    assert (kind.task, kind.queue, kind.priority, kind.resend_unknown) == (task, queue, 3, True)
    assert kind_for_task(task) is kind
    assert kind.result_keys == ("booking_reference",)


def test_every_kind_keeps_the_conventions() -> None:
    for name, kind in KINDS.items():
        assert kind.name == name
        assert kind.task.rsplit(".", 1)[1] == f"send_{name}"
        assert kind.channel in Channel
        assert 0 <= kind.priority <= 9


def test_an_unknown_task_is_named_with_those_that_are_known() -> None:
    with pytest.raises(KeyError, match=r"app\.tasks\.x .*send_booking_confirmation_sms"):
        kind_for_task("app.tasks.x")


@pytest.mark.parametrize(("channel", "hours"), [("email", 24), ("sms", 1)])
def test_a_confirmation_is_worth_sending_until_the_bus_leaves_and_a_while_after_booking(
    channel: str, hours: int
) -> None:
    kind = KINDS[f"booking_confirmation_{channel}"]
    payload = validate(kind, ARGUMENTS, DEFAULTS)
    assert kind.validity(payload) == Validity(until=DEPARTURE, at_least=timedelta(hours=hours))


def test_a_push_knows_no_departure_and_lives_a_day() -> None:
    kind = KINDS["booking_confirmation_push"]
    assert kind.validity(validate(kind, ARGUMENTS, DEFAULTS)) == Validity(at_least=timedelta(hours=24))


def test_a_delay_is_about_one_booking_of_one_passenger_until_the_bus_leaves() -> None:
    kind = KINDS["trip_delay_sms"]
    assert (kind.task, kind.queue) == ("app.tasks.sms_tasks.send_trip_delay_sms", "sms")
    assert (kind.resend_unknown, kind.sensitive, kind.result_keys) == (True, False, ("booking_reference",))
    trip = {"booking_reference": "PF7K2Q", "delay_minutes": 45, "new_departure_time": "2024-01-15 10:45:00"}

    def about(phone: str = "+2348031234567", **changes: Any) -> str:
        assert kind.subject
        arguments = {"phone_number": phone, "user_name": "Ada", "trip_data": trip | changes}
        return kind.subject(validate(kind, arguments, DEFAULTS))

    assert about() == about(delay_minutes=90, new_departure_time="2024-01-15 11:30:00")
    assert len({about(), about("+2348031234568"), about(booking_reference="PF7K2R")}) == 3
    payload = validate(kind, {**ARGUMENTS, "trip_data": trip}, DEFAULTS)
    assert kind.validity(payload) == Validity(until=DEPARTURE + timedelta(minutes=45))


def test_a_code_is_sensitive_goes_first_lives_ten_minutes_and_is_never_sent_twice() -> None:
    kind = KINDS["otp_sms"]
    assert (kind.task, kind.queue, kind.priority) == ("app.tasks.sms_tasks.send_otp_sms", "sms", 0)
    assert (kind.sensitive, kind.resend_unknown, kind.result_keys, kind.subject) == (True, False, (), None)
    payload = validate(kind, {**ARGUMENTS, "otp_code": "493817"}, DEFAULTS)
    assert kind.validity(payload) == Validity(at_least=timedelta(minutes=10))


def test_nothing_goes_before_a_code() -> None:
    assert all(kind.priority >= KINDS["otp_sms"].priority for kind in KINDS.values())
