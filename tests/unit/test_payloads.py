"""What a task's arguments may be, and how a bad one is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages.base import InvalidPayload
from app.messages.kinds import KINDS
from app.messages.payloads import Defaults, Details, details, dump, validate

DEFAULTS = Defaults(currency="NGN", locale="en_NG", timezone="Africa/Lagos", phone_region=None)
OTHERS = Defaults(currency="JPY", locale="ja", timezone="Asia/Tokyo", phone_region="JP")
BOOKING: dict[str, Any] = {
    "booking_reference": "PF7K2Q",
    "origin": "Lagos",
    "destination": "Abuja",
    "departure_time": "2024-01-15 10:00:00",
    "seats": ["12A", 7],
    "total_amount": "15000.00",
}
EMAIL, SMS, PUSH = (KINDS[f"booking_confirmation_{channel}"] for channel in ("email", "sms", "push"))
KINDS_BY_CHANNEL = {"email": EMAIL, "sms": SMS, "push": PUSH}


def arguments(**changes: Any) -> dict[str, Any]:
    """Good arguments for every channel; `changes` go into the parameter or the data of that name."""
    good = {
        "user_email": "ada@example.com",
        "phone_number": "+234 803 123 4567",
        "device_tokens": ["one", "two"],
        "user_name": "Ada",
    }
    outer = {key: value for key, value in changes.items() if key in good}
    inner = {key: value for key, value in changes.items() if key not in good}
    return {**good, **outer, "booking_data": {**BOOKING, **inner}}


def accepted(channel: str = "email", defaults: Defaults = DEFAULTS, **changes: Any) -> Any:
    return validate(KINDS_BY_CHANNEL[channel], arguments(**changes), defaults)


def refusal(channel: str = "email", **changes: Any) -> str:
    with pytest.raises(InvalidPayload) as caught:
        accepted(channel, **changes)
    assert caught.value.__cause__ is caught.value.__context__ is None  # they would carry the values
    return str(caught.value)


def test_good_arguments_are_cleaned() -> None:
    data = accepted(user_name="  Ada Obi ", unknown="ignored").booking_data
    assert (data.seats, data.total_amount) == (("12A", "7"), Decimal(15000))
    assert data.departure_time == datetime(2024, 1, 15, 9, tzinfo=UTC)
    assert (data.currency, data.locale, data.timezone) == ("NGN", "en_NG", "Africa/Lagos")
    assert (data.arrival_time, data.bus_info) == (None, None)
    assert accepted("sms").phone_number == "+2348031234567"


def test_every_bad_field_is_named_and_no_value_is_shown() -> None:
    bad = {
        "user_email": "secret-address",
        "booking_data": {
            "booking_reference": "PF 7K",
            "origin": "a\r\nb",
            "departure_time": "soon",
            "seats": "12A",
            "total_amount": -4711,
            "currency": "secret",
            "locale": "secret",
            "timezone": "secret",
        },
    }
    with pytest.raises(InvalidPayload) as caught:
        validate(EMAIL, bad, DEFAULTS)
    problems = dict(line.split(": ", 1) for line in str(caught.value).split("; "))
    names = {"user_email", "user_name", *(f"booking_data.{key}" for key in [*bad["booking_data"], "destination"])}
    assert set(problems) == names
    assert problems["user_name"] == "is missing, but required"
    for value in ("secret", "PF 7K", "soon", "4711"):
        assert value not in str(caught.value)
    assert "4711" not in repr(accepted(total_amount=4711))


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_data_must_be_a_mapping(value: Any) -> None:
    with pytest.raises(InvalidPayload, match=r"^booking_data: must be a mapping"):
        validate(EMAIL, {**arguments(), "booking_data": value}, DEFAULTS)


BAD: list[tuple[str, list[Any]]] = [
    ("user_name", ["", "  ", "x" * 201, 5, None, "a\nb", "a\x00b", "a\u2028b", "a\u202eb", "a\ud800b"]),
    ("booking_reference", ["", "x" * 41, "a b", "é", None, 12]),
    ("seats", [[], "12A", None, [""], ["x" * 11], [True], [1.5], ["1"] * 61, [["1"]], {"1": 2}]),
    (
        "total_amount",
        [-1, "-1", "1e3", "15,000", "nan", float("inf"), float("nan"), True, None, [], 10**12, 10**400],
    ),
    ("total_amount", ["1_000", "\u0661", "", "999999999999.99999", Decimal("NaN"), Decimal("Infinity")]),
    ("departure_time", ["", "soon", "2024-01-15", "2024-13-01 10:00", 1705309200, None, "1999-12-31T23:59Z"]),
    ("departure_time", ["2100-01-01T00:00Z", "0001-01-01T00:00:00+14:00", "2024-01-15T10:00:00+25:00"]),
    ("arrival_time", ["later"]),
    ("currency", ["XXL", "naira", 5, ""]),
    ("locale", ["xx", "en_XX", "", 5]),
    ("timezone", ["Lagos", "Africa", "", "../etc/passwd", "+25:00", "x" * 300, 5]),
    ("bus_info", [5, "", "x" * 201, {"plate": "a\nb"}]),
    ("user_email", ["ada", "a@b", "a@x.test", "Ada <ada@example.com>", "a@example.com\nBcc: b@example.com", None]),
]


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD for value in values])
def test_what_cannot_be_sent_is_refused(field: str, value: Any) -> None:
    path = field if field.startswith("user") else f"booking_data.{field}"
    assert refusal(**{field: value}).startswith(f"{path}: ")


@pytest.mark.parametrize("number", ["+2348031234567", "+1 201 555 0123", "+44 7400 123456"])
def test_mobile_numbers_become_e164(number: str) -> None:
    assert accepted("sms", phone_number=number).phone_number == number.replace(" ", "")


@pytest.mark.parametrize(
    "number", ["+234", "+23412345678", "+44 20 7946 0018", "call +2348031234567", "", "+", None, 8031234567]
)
def test_other_numbers_are_refused(number: Any) -> None:
    assert refusal("sms", phone_number=number).startswith("phone_number: must be a valid mobile number")


def test_a_national_number_needs_a_region() -> None:
    assert "DEFAULT_PHONE_REGION" in refusal("sms", phone_number="0803 123 4567")
    nigeria = Defaults("NGN", "en_NG", "Africa/Lagos", "NG")
    assert accepted("sms", nigeria, phone_number="0803 123 4567").phone_number == "+2348031234567"


def test_international_addresses_are_accepted() -> None:
    assert accepted(user_email="zoë@bücher.example.com").user_email == "zoë@bücher.example.com"


def test_tokens_lose_duplicates_and_keep_their_order() -> None:
    assert accepted("push", device_tokens=["b", "a", "b"]).device_tokens == ("b", "a")


@pytest.mark.parametrize("tokens", [[], "abc", [""], ["x" * 4097], [5], [None], [["a"]], {"a": 1}, None])
def test_tokens_must_be_a_list_of_strings(tokens: Any) -> None:
    assert refusal("push", device_tokens=tokens).startswith("device_tokens: must be a list")


def test_ids_may_be_numbers() -> None:
    data = accepted("push", booking_id=12, trip_id="t-1").booking_data
    assert (data.booking_id, data.trip_id) == ("12", "t-1")
    assert "booking_data.trip_id: must be a whole number or text" in refusal("push", trip_id=True)


def test_bus_info_may_be_a_mapping() -> None:
    assert accepted(bus_info={"model": "Marcopolo", "plate": "ABC-1", "wifi": True}).booking_data.bus_info == (
        "ABC-1 · Marcopolo"
    )
    assert accepted(bus_info={"wifi": True}).booking_data.bus_info is None


@pytest.mark.parametrize(
    ("given", "zone", "utc_hour", "shown"),
    [
        ("2024-01-15 10:00:00", "Africa/Lagos", 9, "Africa/Lagos"),
        ("2024-01-15T10:00", None, 9, "Africa/Lagos"),  # the default zone
        ("2024-01-15T10:00:00Z", None, 10, "Africa/Lagos"),  # UTC says nothing of the place
        ("2024-01-15T10:00:00+01:00", None, 9, "Africa/Lagos"),  # the same as the default
        ("2024-01-15T10:00:00-05:00", None, 15, "-05:00"),
        ("2024-01-15T10:00:00-05:00", "Africa/Accra", 15, "Africa/Accra"),
        (datetime(2024, 1, 15, 10, tzinfo=timezone(timedelta(hours=2))), None, 8, "+02:00"),
        (datetime(2024, 1, 15, 10, tzinfo=ZoneInfo("Africa/Lagos")), None, 9, "Africa/Lagos"),
        ("2024-07-15 10:00:00", "Europe/London", 9, "Europe/London"),
        ("2024-03-31 02:30:00", "Europe/Paris", 1, "Europe/Paris"),  # skipped
        ("2024-10-27 02:30:00", "Europe/Paris", 0, "Europe/Paris"),  # twice
    ],
)
def test_times_are_read_in_their_zone(given: Any, zone: str | None, utc_hour: int, shown: str) -> None:
    data = accepted(departure_time=given, timezone=zone).booking_data
    assert (data.departure_time.utcoffset(), data.departure_time.hour) == (timedelta(), utc_hour)
    assert data.timezone == shown


def test_a_time_without_zone_is_never_read_in_another_times_offset() -> None:
    data = accepted(departure_time="2024-01-15 10:00:00", arrival_time="2024-01-15T20:00:00+05:00").booking_data
    assert (data.departure_time.hour, data.arrival_time.hour, data.timezone) == (9, 15, "Africa/Lagos")


text = st.text(min_size=1, max_size=60).filter(
    lambda value: value.strip() and not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in BREAKS for c in value)
)
BREAKS = "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
moments = st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1)).map(  # noqa: DTZ001 - naive is the case
    lambda moment: moment.isoformat()
) | st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)).map(datetime.isoformat)  # noqa: DTZ001
bookings = st.fixed_dictionaries(
    {
        "booking_reference": st.from_regex(r"[!-~]{1,40}", fullmatch=True),
        "origin": text,
        "destination": text,
        "departure_time": moments,
        "seats": st.lists(st.integers(0, 99) | st.sampled_from(["12A", "é"]), min_size=1, max_size=60),
        "total_amount": st.decimals(0, 10**11, allow_nan=False) | st.floats(0, 1e11) | st.integers(0, 10**11),
    },
    optional={
        "arrival_time": moments | st.none(),
        "bus_info": text | st.none() | st.fixed_dictionaries({"plate": text, "model": text}),
        "currency": st.sampled_from(["NGN", "usd", "XOF", "JPY", "CLF"]),
        "locale": st.sampled_from(["en", "fr", "ar", "yo", "pt-BR", "zh_TW"]),
        "timezone": st.sampled_from(["Africa/Lagos", "Europe/Paris", "UTC", "-03:30"]),
        "trip_id": st.integers() | text,
    },
)


@given(st.sampled_from(["email", "sms", "push"]), bookings, text)
def test_a_dump_is_json_and_gives_the_same_payload_whatever_the_defaults(
    channel: str, booking: dict[str, Any], name: str
) -> None:
    kind = KINDS_BY_CHANNEL[channel]
    payload = validate(kind, {**arguments(), "user_name": name, "booking_data": booking}, DEFAULTS)
    again = validate(kind, json.loads(json.dumps(dump(payload))), OTHERS)
    assert again == payload
    assert isinstance(details(again), Details)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["email", "sms", "push"]), st.data())
def test_whatever_is_given_nothing_but_a_refusal_is_raised(channel: str, data: st.DataObject) -> None:
    good = arguments(arrival_time=None, bus_info=None, currency="NGN", locale="en", timezone="UTC", trip_id=1)
    field = data.draw(st.sampled_from([*good, *good["booking_data"]]))
    target = good if field in good else good["booking_data"]
    target[field] = data.draw(anything)
    try:
        dump(validate(KINDS_BY_CHANNEL[channel], good, DEFAULTS))
    except InvalidPayload as error:
        assert field in str(error)  # noqa: PT017 - both ends are right, only another exception is not
