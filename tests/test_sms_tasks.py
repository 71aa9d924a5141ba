"""The text message tasks: what a passenger receives, what the caller gets back, and what is refused."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from smsutil import split

from app.messages.base import InvalidPayload
from app.tasks.base import DeliveryFailed
from app.tasks.sms_tasks import (
    send_booking_confirmation_sms,
    send_otp_sms,
    send_trip_arrival_sms,
    send_trip_delay_sms,
    send_trip_departure_sms,
)
from sandbox.standins.script import answer
from tests import data
from tests.house import House
from tests.tasks import SOON, refusal

pytestmark = pytest.mark.usefixtures("worker")


def trip(**changes: Any) -> dict[str, Any]:
    """Arguments of a departure or an arrival: more keys than either needs."""
    return {
        "phone_number": "+234 803 123 4567",
        "user_name": "Ada Obi",
        "trip_data": data.booking_data(**changes),
    }


def received(house: House) -> dict[str, Any]:
    """The one text that has come; each of ours is one GSM-7 segment."""
    [only] = house.ledger.entries("sms")
    parts = split(only["message"])
    assert (parts.encoding, len(parts.parts)) == ("gsm0338", 1)
    assert "None" not in only["message"]
    return only


@pytest.mark.parametrize(
    ("task", "arguments", "said"),
    [
        (
            send_booking_confirmation_sms,
            data.sms(),
            r"^Pafar: Hello Ada Obi, booking PF7K2QXM confirmed\. Lagos to Abuja, .* 10:00 WAT, seats 12, 13\."
            r" Paid NGN 30,000\.",
        ),
        (
            send_trip_departure_sms,
            trip(),
            r"your bus Lagos to Abuja leaves .* 10:00 WAT, seats 12, 13\. Booking PF7K2QXM\.",
        ),
        (send_trip_departure_sms, trip(seats=["7"]), r", seat 7\."),
        (
            send_trip_delay_sms,
            data.delay(45),
            r"your trip PF7K2QXM is delayed by 45 min\. New departure: .* 10:45 WAT\.",
        ),
        (send_trip_arrival_sms, trip(), r"arrives in Abuja in about 5 min\. Booking PF7K2QXM\."),
        (send_trip_arrival_sms, trip(eta_minutes=20), r"arrives in Abuja in about 20 min\."),
        (send_trip_arrival_sms, trip(eta_minutes=0), r"arrives in Abuja now\."),
    ],
)
def test_a_passenger_reads_what_matters_in_one_segment(
    house: House, task: Any, arguments: dict[str, Any], said: str
) -> None:
    result = task.delay(**arguments).get(timeout=SOON)
    text = received(house)
    assert text["to"] == "+2348031234567"
    assert re.search(said, text["message"])
    assert result.pop("message").endswith("sms sent")
    assert result == {"success": True, "booking_reference": "PF7K2QXM", "sms_id": text["id"]}


@pytest.mark.parametrize("purpose", ["verification", "password_reset", "login"])
def test_a_code_comes_with_its_purpose_and_its_life(house: House, purpose: str) -> None:
    result = send_otp_sms.delay("+2348031234567", "493817", purpose).get(timeout=SOON)
    text = received(house)
    assert text["message"].startswith(f"493817 is your Pafar {purpose.replace('_', ' ')} code.")
    assert "expires in 10 minutes" in text["message"]
    assert text["validity_period"] <= 600
    assert result == {"success": True, "message": "Otp sms sent", "sms_id": text["id"]}


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        (send_trip_departure_sms, trip(departure_time=(data.DEPARTURE - timedelta(days=4)).isoformat())),
        (
            send_trip_delay_sms,
            data.delay(new_departure_time=(data.DEPARTURE - timedelta(days=4)).isoformat()),
        ),
    ],
)
def test_once_the_bus_has_left_nothing_is_sent(house: House, task: Any, arguments: dict[str, Any]) -> None:
    result = task.delay(**arguments).get(timeout=SOON)
    assert (result["success"], result["skipped"]) == (True, "expired")
    assert result["booking_reference"] == "PF7K2QXM"
    assert result["message"].startswith("Not sent: ")
    assert house.ledger.entries() == []


def test_the_gateway_is_told_how_long_an_arrival_is_of_use(house: House) -> None:
    send_trip_arrival_sms.delay(**trip(eta_minutes=15)).get(timeout=SOON)
    assert 0 < received(house)["validity_period"] <= 45 * 60


def test_long_names_still_fit_one_segment(house: House) -> None:
    names = {"origin": "Bobo-Dioulasso Gare Routière", "destination": "Ouagadougou Gare Routière Centrale"}
    long = {**names, "seats": ["12A", "12B", "13A", "13B"], "total_amount": "1250000.50"}
    send_booking_confirmation_sms.delay(**data.sms(**long)).get(timeout=SOON)
    told = received(house)["message"]
    for fact in ("PF7K2QXM", *names.values(), "10:00 WAT", "seats 12A,12B,13A,13B", "paid NGN 1,250,000.50"):
        assert fact in told


BOOKED = ("booking_reference", "origin", "destination", "departure_time", "seats")


@pytest.mark.parametrize(
    ("task", "parameter", "fields"),
    [
        (send_booking_confirmation_sms, "booking_data", (*BOOKED, "total_amount")),
        (send_trip_departure_sms, "trip_data", BOOKED),
        (send_trip_delay_sms, "trip_data", ("booking_reference", "delay_minutes", "new_departure_time")),
        (send_trip_arrival_sms, "trip_data", ("booking_reference", "destination")),
    ],
)
def test_every_bad_field_is_named(task: Any, parameter: str, fields: tuple[str, ...]) -> None:
    named = {"phone_number", "user_name", *(f"{parameter}.{field}" for field in fields)}
    bad = {"phone_number": "+44 20 7946 0018", "user_name": ""}
    assert refusal(task, bad | {parameter: {}}) == named
    assert refusal(task, bad | {parameter: {field: [] for field in fields}}) == named


@pytest.mark.parametrize("eta", [-1, 2.5, "soon", True, 10_000])
def test_an_eta_is_whole_minutes(eta: Any) -> None:
    assert refusal(send_trip_arrival_sms, trip(eta_minutes=eta)) == {"trip_data.eta_minutes"}


@pytest.mark.parametrize("number", ["0803 123 4567", "+44 900 123 4567", "+44 20 7946 0018", "+234 803"])
def test_a_number_that_takes_no_texts_is_refused_before_any_call(number: str) -> None:
    assert refusal(send_trip_departure_sms, trip() | {"phone_number": number}) == {"phone_number"}


def test_a_code_that_is_none_is_refused_and_not_shown() -> None:
    bad = {"phone_number": "me", "otp_code": "12e4", "purpose": "marketing"}
    assert refusal(send_otp_sms, bad) == {"phone_number", "otp_code", "purpose"}
    with pytest.raises(InvalidPayload) as caught:
        send_otp_sms.delay(**bad)
    assert "12e4" not in str(caught.value)


def test_a_number_that_the_gateway_refuses_is_a_failure_that_shows_no_number(house: House) -> None:
    house.sms.script.append(answer(400, {"error": {"code": "invalid_number", "field": "to"}}))
    result = send_trip_departure_sms.delay(**trip())
    with pytest.raises(DeliveryFailed, match="InvalidRecipient") as caught:
        result.get(timeout=SOON)
    assert result.state == "FAILURE"
    assert "803" not in str(caught.value)
    assert house.ledger.entries() == []


def test_a_refusal_inside_a_good_answer_is_a_failure(house: House) -> None:
    house.sms.script.append(answer(200, {"error": {"code": "blocked_sender"}}))
    result = send_booking_confirmation_sms.delay(**data.sms())
    with pytest.raises(DeliveryFailed, match="blocked_sender"):
        result.get(timeout=SOON)
    assert house.ledger.entries() == []


def test_a_gateway_that_is_busy_gets_it_when_it_said(house: House) -> None:
    house.sms.script.append(answer(429, {"error": "too_many_requests"}, headers={"Retry-After": "1"}))
    sent = send_otp_sms.delay(**data.otp()).get(timeout=SOON)
    assert sent["sms_id"] == received(house)["id"]
