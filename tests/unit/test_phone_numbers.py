"""Which numbers a text may go to, however people write them; each goes out in E.164."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from pydantic import TypeAdapter, ValidationError

from app.core.config import get_settings
from app.messages.fields import Defaults
from app.messages.recipients import PhoneNumber
from app.notifications.submit import defaults

ADAPTER = TypeAdapter(PhoneNumber)
#: One mobile number of each country that has any, by the library's own book.
MOBILES = {
    region: number
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    if (number := phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE))
}
#: What people put between digits, and what their phones copy.
BETWEEN = st.sampled_from(["", " ", "-", ".", "/", "(", ")", "\u00a0", "\u202f", "\u2011"])


def accepted(number: Any, region: str | None = None, *countries: str, stored: bool = False) -> str:
    context = Defaults("NGN", "en", "UTC", region, frozenset(countries), stored=stored)
    return ADAPTER.validate_python(number, context=context)


def refusal(number: Any, region: str | None = None, *countries: str) -> str:
    with pytest.raises(ValidationError) as caught:
        accepted(number, region, *countries)
    [problem] = caught.value.errors()
    return problem["msg"]


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+2348031234567", None),
        (" +234 803 123 4567 ", None),
        ("+234 (0)803-123.4567", None),
        ("00234 803 123 4567", None),
        ("(00) 234/803/1234567", None),
        ("(+234) 803 123 4567", None),
        ("\u202a+234 803 123 4567\u202c", None),
        ("\u200e+234\u00ad803\u200b1234567", None),
        ("00234 803 123 4567", "US"),  # where 00 is not dialled
        ("011 234 803 123 4567", "US"),
        ("0803 123 4567", "NG"),
        ("(0803) 123-4567", "NG"),
        ("803 123 4567", "NG"),
        ("2348031234567", "NG"),
    ],
)
def test_one_number_in_many_forms(number: str, region: str | None) -> None:
    assert accepted(number, region) == "+2348031234567"


@given(st.sampled_from(sorted(MOBILES)), st.data())
def test_every_countrys_mobiles_are_taken_however_they_are_written(region: str, data: st.DataObject) -> None:
    number = MOBILES[region]
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    digits = data.draw(st.sampled_from([e164, f"00{e164[1:]}"]))
    spread = digits[:1] + "".join(data.draw(BETWEEN) + digit for digit in digits[1:])
    assert accepted(spread) == e164
    national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    assert accepted(national, region) == e164


@given(
    st.text() | st.from_regex(r"\+?[0-9 ()\-]{3,20}", fullmatch=True) | st.integers() | st.none(), st.booleans()
)
def test_whatever_is_given_comes_out_as_a_mobile_in_e164_or_not_at_all(number: Any, national: bool) -> None:
    told = "+2348031234567"
    with suppress(ValidationError):
        told = accepted(number, "NG" if national else None)
    assert re.fullmatch(r"\+[1-9][0-9]{6,14}", told)
    assert accepted(told) == told
    kind = phonenumbers.number_type(phonenumbers.parse(told))
    assert kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


@pytest.mark.parametrize(
    ("number", "region", "why"),
    [
        ("+44 20 7946 0018", None, "a fixed line"),
        ("+44 900 123 4567", None, "a premium-rate number"),
        ("+1 900 234 5678", None, "a premium-rate number"),
        ("+1 800 234 5678", None, "a toll-free number"),
        ("+49 180 1234567", None, "a shared-cost number"),
        ("+44 56 1234 5678", None, "an internet telephone"),
        ("+44 7640 123456", None, "a pager"),
        ("+881 612345678", None, ""),  # a satellite telephone
        ("+882 345678901", None, ""),
        ("+44 70 1234 5678", None, ""),  # a personal number, priced as premium
        ("+234803123", None, ""),
        ("+23480312345678901", None, ""),
        ("+999 123456789", None, ""),
        ("32120", "NG", ""),  # a short code
        ("112", "NG", ""),
        ("0800 123 4567", "GB", ""),
        ("call 0803 123 4567", "NG", ""),
        ("0803 123 4567 ext 8", "NG", ""),
        ("0803 123 4567;+44 900 123 4567", "NG", ""),
        ("", "NG", ""),
        ("00", None, ""),
        ("+", None, ""),
        (8031234567, "NG", ""),
        (None, "NG", ""),
    ],
)
def test_what_takes_no_texts_is_refused_and_not_shown(number: Any, region: str | None, why: str) -> None:
    said = "must be a valid mobile number such as +2348031234567"
    problem = refusal(number, region)
    assert said in problem
    assert why in problem
    assert not number or str(number) not in problem.replace(said, "")


@pytest.mark.parametrize("kind", [PhoneNumberType.PREMIUM_RATE, PhoneNumberType.FIXED_LINE])
def test_no_countrys_premium_or_fixed_lines_are_taken(kind: int) -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        number = phonenumbers.example_number_for_type(region, kind)
        if number and phonenumbers.number_type(number) == kind:  # in some countries they look like mobiles
            assert "mobile" in refusal(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def test_a_national_number_needs_a_region() -> None:
    assert "DEFAULT_PHONE_REGION is not set" in refusal("0803 123 4567")


def test_only_numbers_of_allowed_countries_are_taken() -> None:
    assert accepted("+233 24 123 4567", None, "NG", "GH") == "+233241234567"
    assert accepted("0803 123 4567", "NG", "NG", "GH") == "+2348031234567"
    assert "must be a number of GH, NG, as SMS_ALLOWED_COUNTRIES says" in refusal(
        "+44 7400 123456", None, "NG", "GH"
    )
    assert "must be a number of US" in refusal("+1 506 234 5678", None, "US")  # Canada's, under the same code
    assert accepted("+1 506 234 5678", None, "CA")


def test_a_number_that_lay_in_a_row_is_not_looked_up_again() -> None:
    dropped = "+234803123"  # as one that the book of numbers has since lost
    assert accepted(dropped, stored=True) == dropped
    assert "must be a valid mobile number" in refusal(dropped)
    with pytest.raises(ValidationError, match="SMS_ALLOWED_COUNTRIES"):
        accepted("+447400123456", None, "NG", stored=True)


@pytest.mark.parametrize(("value", "countries"), [("NG, gh", {"NG", "GH"}), ("NG", {"NG"}), ("", set())])
def test_the_countries_are_a_setting(monkeypatch: pytest.MonkeyPatch, value: str, countries: set[str]) -> None:
    monkeypatch.setenv("SMS_ALLOWED_COUNTRIES", value)
    get_settings.cache_clear()
    assert defaults().phone_countries == countries
    monkeypatch.undo()
    get_settings.cache_clear()
