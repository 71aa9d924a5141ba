"""The trip in the passenger's calendar: put in, and taken out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import icalendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.messages.base import InvalidPayload
from app.messages.documents.attached import Document
from app.messages.documents.attached import documents as made
from app.messages.kinds import KINDS
from app.messages.payloads import validate
from tests.unit.samples import DEFAULTS, arguments

CONFIRMATION, CANCELLATION = KINDS["booking_confirmation_email"], KINDS["booking_cancellation_email"]
DEPARTURE, ARRIVAL = datetime(2026, 12, 24, 8, tzinfo=UTC), datetime(2026, 12, 24, 18, 30, tzinfo=UTC)


def file(kind: Any = CONFIRMATION, organizer: str | None = "tickets@pafar.example", **changes: Any) -> Document:
    """The calendar file that goes with an e-mail."""
    given = arguments(kind)
    given["booking_data"] = given["booking_data"] | changes
    calendar = made(validate(kind, given, DEFAULTS), organizer=organizer).calendar
    assert calendar
    return calendar


def event(kind: Any = CONFIRMATION, **changes: Any) -> Any:
    """Its one entry."""
    calendar: Any = icalendar.Calendar.from_ical(file(kind, **changes).content)
    [entry] = calendar.walk("VEVENT")
    return entry


def test_a_confirmation_puts_the_trip_into_the_calendar() -> None:
    entry = event()
    assert (entry["uid"], entry["sequence"], entry["status"]) == ("PF7K2QXM@pafar", 0, "CONFIRMED")
    assert (entry.decoded("dtstart"), entry.decoded("dtend")) == (DEPARTURE, ARRIVAL)
    assert abs(entry.decoded("dtstamp") - datetime.now(UTC)) < timedelta(hours=1)
    assert (entry["summary"], entry["location"]) == ("Bus Lagos → Abuja", "Lagos")
    assert entry["organizer"] == "mailto:tickets@pafar.example"
    facts = ["PF7K2QXM", "09:00 WAT", "Seats: 12, 13", "Yutong ZK6122", "30 minutes before departure"]
    assert all(fact in entry["description"] for fact in facts)


def test_times_are_in_utc() -> None:
    lines = file().content.splitlines()
    assert b"DTSTART:20261224T080000Z" in lines
    assert b"DTEND:20261224T183000Z" in lines


def test_the_calendar_reminds_of_the_trip() -> None:
    [alarm] = event().walk("VALARM")
    assert (alarm["action"], alarm.decoded("trigger")) == ("DISPLAY", timedelta(hours=-3))


@pytest.mark.parametrize("arrival", [None, "2026-12-24T09:00:00+01:00", "2026-12-23T09:00:00+01:00"])
def test_without_a_later_arrival_the_trip_has_no_end(arrival: str | None) -> None:
    assert "dtend" not in event(arrival_time=arrival)


def test_a_cancellation_takes_the_same_entry_out() -> None:
    before, after = event(), event(CANCELLATION)
    assert after["uid"] == before["uid"]
    assert after["sequence"] > before["sequence"]
    assert after["status"] == "CANCELLED"
    assert after["organizer"] == before["organizer"]
    assert after.decoded("dtstart") == DEPARTURE
    assert "cancelled" in after["description"]
    assert not after.walk("VALARM")  # RFC 5546, 3.2.5


@pytest.mark.parametrize(("kind", "method"), [(CONFIRMATION, "PUBLISH"), (CANCELLATION, "CANCEL")])
def test_the_method_stands_in_the_file_and_in_its_content_type(kind: Any, method: str) -> None:
    calendar = file(kind)
    assert calendar.filename == "trip-PF7K2QXM.ics"
    assert calendar.content_type == f"text/calendar; method={method}; charset=utf-8"
    read: Any = icalendar.Calendar.from_ical(calendar.content)
    assert read["method"] == method


def test_without_an_address_nobody_organises() -> None:
    assert "organizer" not in event(organizer=None)


@pytest.mark.parametrize("kind", [CONFIRMATION, CANCELLATION])
@settings(deadline=None, max_examples=60)
@given(st.text(min_size=1, max_size=200), st.from_regex(r"[!-~]{1,40}", fullmatch=True))
def test_hostile_words_stay_in_their_property(kind: Any, origin: str, reference: str) -> None:
    try:
        content = file(kind, origin=origin, booking_reference=reference).content
    except InvalidPayload:
        return
    usual: Any = icalendar.Calendar.from_ical(file(kind).content)
    calendar: Any = icalendar.Calendar.from_ical(content)
    assert [c.name for c in calendar.walk()] == [c.name for c in usual.walk()]
    [entry] = calendar.walk("VEVENT")
    assert set(entry) == set(next(iter(usual.walk("VEVENT"))))
    assert (entry["location"], entry["uid"]) == (origin.strip(), f"{reference}@pafar")
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))  # RFC 5545, 3.1
