"""What the delay and the one-time code take, and how they read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from smsutil import split

from app.messages.base import InvalidPayload
from app.messages.kinds import KINDS
from app.messages.payloads import Defaults, details, dump, validate
from app.messages.render import render_sms

DEFAULTS = Defaults(currency="NGN", locale="en_NG", timezone="Africa/Lagos", phone_region=None)
OTHERS = Defaults(currency="JPY", locale="ja", timezone="Asia/Tokyo", phone_region="JP")
DELAY, OTP = KINDS["trip_delay_sms"], KINDS["otp_sms"]
PHONE = "+2348031234567"


def delay(**changes: Any) -> dict[str, Any]:
    trip = {"booking_reference": "PF7K2Q", "delay_minutes": 45, "new_departure_time": "2024-01-15 10:45:00"}
    return {"phone_number": PHONE, "user_name": "Ada Obi", "trip_data": trip | changes}


def otp(code: Any = "493817", **purpose: Any) -> dict[str, Any]:
    return {"phone_number": PHONE, "otp_code": code, **purpose}


def refusal(kind: Any, arguments: dict[str, Any]) -> str:
    with pytest.raises(InvalidPayload) as caught:
        validate(kind, arguments, DEFAULTS)
    assert caught.value.__cause__ is caught.value.__context__ is None  # they would carry the values
    return str(caught.value)


def text(kind: Any, arguments: dict[str, Any]) -> str:
    return render_sms(kind, validate(kind, arguments, DEFAULTS))


def test_a_delay_says_which_trip_how_long_and_until_when() -> None:
    told = text(DELAY, delay())
    assert told == (
        "Pafar: Hello Ada Obi, your trip PF7K2Q is delayed by 45 min. New departure: 15 Jan 10:45 WAT."
        " We are sorry."
    )
    parts = split(told)
    assert (parts.encoding, len(parts.parts)) == ("gsm0338", 1)


@pytest.mark.parametrize("purpose", ["verification", "password_reset", "login"])
def test_a_code_comes_first_and_says_what_it_is_for_and_how_long_it_lives(purpose: str) -> None:
    told = text(OTP, otp(purpose=purpose))
    assert told.startswith(f"493817 is your Pafar {purpose.replace('_', ' ')} code.")
    assert "10 minutes" in told
    assert "Don't share it" in told
    parts = split(told)
    assert (parts.encoding, len(parts.parts)) == ("gsm0338", 1)


@pytest.mark.parametrize("domain", ["pafar.example", "d" * 52 + ".example"])
@pytest.mark.parametrize("code", ["4938", "4938172056"])
def test_a_pages_last_line_is_exactly_what_browsers_look_for(code: str, domain: str) -> None:
    payload = validate(OTP, otp(code, purpose="password_reset"), DEFAULTS)
    told = render_sms(OTP, payload, web_otp_domain=domain)
    first, last = told.split("\n")
    assert first.startswith(f"{code} is your ")
    assert last == f"@{domain} #{code}"
    parts = split(told)
    assert (parts.encoding, len(parts.parts)) == ("gsm0338", 1)


def test_a_code_is_for_verification_unless_said_otherwise_and_keeps_its_zeros() -> None:
    assert text(OTP, otp("000042")).startswith("000042 is your Pafar verification code.")


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(1, "1 min"), ("45", "45 min"), (60, "1 h"), (135, "2 h 15 min"), (1440, "24 h"), (9999, "166 h 39 min")],
)
def test_minutes_may_be_a_number_or_its_digits(minutes: Any, said: str) -> None:
    assert f"by {said}." in text(DELAY, delay(delay_minutes=minutes))


@pytest.mark.parametrize(
    ("field", "value"),
    [("delay_minutes", bad) for bad in (0, -5, 10_000, 1.5, True, None, "", "ten", "4_5", "\u0664", [45])]
    + [("new_departure_time", bad) for bad in ("soon", None, 1705309200, "2024-01-15")]
    + [("booking_reference", bad) for bad in ("", None, "a b")],
)
def test_a_delay_that_can_not_be_told_is_refused(field: str, value: Any) -> None:
    assert refusal(DELAY, delay(**{field: value})).startswith(f"trip_data.{field}: ")


@pytest.mark.parametrize(
    "code", ["", "123", "12345678901", "12a456", "12 456", 493817, None, "\u0664" * 6, "1234\n"]
)
def test_a_code_must_be_a_string_of_digits(code: Any) -> None:
    problem = refusal(OTP, otp(code))
    assert problem == "otp_code: must be a string of 4 to 10 digits"


@pytest.mark.parametrize("purpose", ["", "marketing", None, 5, ["login"]])
def test_only_the_agreed_purposes_are_taken(purpose: Any) -> None:
    assert refusal(OTP, otp(purpose=purpose)).startswith("purpose: ")


def test_a_refusal_names_every_bad_field_and_shows_no_value() -> None:
    problem = refusal(OTP, {"phone_number": "0803 987 6543", "otp_code": "hunter2", "purpose": "sesame"})
    for field in ("phone_number", "otp_code", "purpose"):
        assert f"{field}: " in problem
    for value in ("987", "hunter2", "sesame"):
        assert value not in problem


def test_nothing_shows_in_a_repr() -> None:
    payload = validate(OTP, otp(), DEFAULTS)
    assert "493817" not in f"{payload!r} {payload}"
    assert "803" not in f"{payload!r} {payload}"
    assert "PF7K2Q" not in repr(validate(DELAY, delay(), DEFAULTS))


@pytest.mark.parametrize(("kind", "arguments"), [(DELAY, delay()), (OTP, otp(purpose="login"))])
def test_what_is_stored_gives_the_same_message_whatever_the_defaults(kind: Any, arguments: dict[str, Any]) -> None:
    payload = validate(kind, arguments, DEFAULTS)
    again = validate(kind, json.loads(json.dumps(dump(payload))), OTHERS)
    assert again == payload
    assert render_sms(kind, again) == render_sms(kind, payload)


def test_a_code_has_no_data_of_its_own() -> None:
    assert details(validate(OTP, otp(), DEFAULTS)) is None
