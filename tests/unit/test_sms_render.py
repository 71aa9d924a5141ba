"""What a booking's text message says, and what it leaves out to cost one segment."""

from __future__ import annotations

from typing import Any

import pytest
from smsutil import split

from app.messages.kinds import KINDS
from app.messages.payloads import Defaults, validate
from app.messages.render import render_sms

DEFAULTS = Defaults(currency="NGN", locale="en_NG", timezone="Africa/Lagos", phone_region=None)
BOOKING: dict[str, Any] = {
    "booking_reference": "PF7K2Q",
    "origin": "Lagos",
    "destination": "Abuja",
    "departure_time": "2024-01-15 10:00:00",
    "seats": ["12A", "12B"],
    "total_amount": 15000,
}
CONFIRMATION = KINDS["booking_confirmation_sms"]


def sms(name: str = "Ada Obi", **changes: Any) -> str:
    arguments = {"phone_number": "+2348031234567", "user_name": name, "booking_data": {**BOOKING, **changes}}
    return render_sms(CONFIRMATION, validate(CONFIRMATION, arguments, DEFAULTS))


def test_the_text_message_fits_one_gsm_segment() -> None:
    text = sms()
    assert text == (
        "Pafar: Hello Ada Obi, booking PF7K2Q confirmed. Lagos to Abuja, 15 Jan 10:00 WAT, seats 12A, 12B."
        " Paid NGN 15,000. Thank you."
    )
    parts = split(text)
    assert (parts.encoding, len(parts.parts)) == ("gsm0338", 1)


def test_a_text_that_is_too_long_loses_the_least_needed_first_and_no_fact() -> None:
    kept: list[tuple[bool | int, ...]] = []
    for letters in range(1, 140):
        told = sms(origin="O" * letters)
        spare = ("Hello Ada Obi", "Thank you", "Pafar", "seats 12A, 12B. Paid")
        state = (*(part in told for part in spare), len(split(told).parts))
        kept += [state] if state not in kept[-1:] else []
        for fact in ("PF7K2Q", "O" * letters, "Abuja", "15 Jan 10:00 WAT", "12A", "12B", "NGN 15,000"):
            assert fact in told
    assert kept == [
        (True, True, True, True, 1),
        (False, True, True, True, 1),  # greeting
        (False, False, True, True, 1),  # courtesy
        (False, False, False, True, 1),  # brand
        (False, False, False, False, 1),  # wording
        (True, True, True, True, 2),  # nothing is gained any more
    ]


def test_a_name_in_another_script_costs_no_second_segment() -> None:
    assert sms("田中 太郎").startswith("Pafar: booking PF7K2Q")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"origin": "Ọ̀yọ́", "destination": "Évreux \u2013 “Sud”"}, 'Oyo to Évreux - "Sud"'),
        ({"locale": "fr"}, "15 Jan 10:00 WAT"),
        ({"locale": "fr", "total_amount": "15000.5"}, "NGN 15 000,50."),
        ({"seats": ["7"], "currency": "USD", "total_amount": "9.99"}, "seat 7. Paid USD 9.99."),
        ({"currency": "KWD", "total_amount": "12.3456"}, "Paid KWD 12.346."),
        ({"currency": "XOF", "total_amount": "6500.5"}, "Paid XOF 6,500."),
    ],
)
def test_text_messages_stay_in_gsm7(changes: dict[str, Any], part: str) -> None:
    assert part in sms(**changes)
    assert split(sms(**changes)).encoding == "gsm0338"


def test_another_script_is_left_as_it_is() -> None:
    assert "दिल्ली to Évry" in sms(origin="दिल्ली", destination="Évry")
