"""Holds, payments and refunds, asked over HTTP while the real server runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.maintenance import reservations
from tests import data
from tests.house import House
from tests.rows import change, rows
from tests.web import Answer, ask

CONFIRMED = [
    "booking_confirmation_email",
    "booking_confirmation_sms",
    "booking_confirmation_push",
    "payment_receipt_email",
]


@pytest.fixture(scope="module")
def server(whole_house: House) -> Iterator[str]:
    with whole_house.api() as address:
        yield f"{address}/api/v1"


class Desk:
    """Sells seats on one trip to one passenger, over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.trip_id, self.user_id = data.make_trip()

    def hold(self, *seats: str, **changes: Any) -> Answer:
        """Ask for seats."""
        body = {"trip_id": self.trip_id, "user_id": self.user_id, "seats": list(seats)}
        return ask(f"{self.url}/holds", body | changes)

    def held(self, *seats: str, ended: bool = False) -> str:
        """The reference of a new hold; one that has ended was to end a minute ago."""
        reference: str = self.hold(*seats).json["booking_reference"]
        if ended:
            end = "UPDATE bookings SET expires_at = clock_timestamp() - interval '1 min' WHERE reference = :of"
            change(end, of=reference)
        return reference

    def paid(self, reference: str, *, number: str = "GW-1", minutes: float = -5, **more: Any) -> Answer:
        """The gateway reports a payment of that number, which was authorised that many minutes from now."""
        authorized = datetime.now(UTC) + timedelta(minutes=minutes)
        body = {"booking_reference": reference, "transaction_id": number, "authorized_at": str(authorized)}
        return ask(f"{self.url}/payments", body | more)

    def refunds(self) -> Any:
        """What waits to be paid back."""
        return ask(f"{self.url}/refunds").json

    def free_seats(self) -> int:
        """As the trip says."""
        return int(ask(f"{self.url}/trips").json[0]["available_seats"])


@pytest.fixture
def desk(house: House, server: str) -> Desk:
    return Desk(server)


def kinds(answer: Answer) -> list[str]:
    """Of the messages that the answer names."""
    return [row["kind"] for row in rows() if str(row["id"]) in answer.json["messages"]]


def test_a_hold_keeps_its_seats_for_ten_minutes(desk: Desk) -> None:
    before = datetime.now(UTC)
    answer = desk.hold("12", "3")
    assert answer.status == 201
    assert answer.json["seats"] == ["3", "12"]
    assert (Decimal(answer.json["total_amount"]), answer.json["currency"]) == (Decimal(30_000), "NGN")
    life = datetime.fromisoformat(answer.json["expires_at"]) - before
    assert timedelta(minutes=10) <= life < timedelta(minutes=11)
    assert (desk.free_seats(), rows()) == (38, [])
    taken = desk.hold("3", "4")
    assert (taken.status, "3" in taken.json["detail"], desk.free_seats()) == (409, True, 38)


def test_a_payment_in_time_confirms_and_is_told_with_its_receipt(desk: Desk) -> None:
    reference = desk.held("3", "4")
    answer = desk.paid(reference, minutes=0, method="transfer")
    assert answer.status == 200
    assert {name: answer.json[name] for name in answer.json if name != "messages"} == {
        "transaction_id": "GW-1",
        "status": "completed",
        "booking_reference": reference,
        "booking_status": "confirmed",
    }
    assert kinds(answer) == CONFIRMED
    receipt = rows()[-1]["payload"]["payment_data"]
    assert (receipt["transaction_id"], Decimal(receipt["amount"]), receipt["status"]) == (
        "GW-1",
        Decimal(30_000),
        "completed",
    )
    assert receipt["payment_method"] == "transfer"
    assert desk.refunds() == []


def test_a_late_payment_gets_seats_that_are_still_free(desk: Desk) -> None:
    reference = desk.held("3", ended=True)
    assert reservations.release_all() == [reference]
    assert desk.free_seats() == 40
    answer = desk.paid(reference)
    assert (answer.json["status"], answer.json["booking_status"]) == ("completed", "confirmed")
    assert (desk.free_seats(), kinds(answer)) == (39, CONFIRMED)


def test_a_late_payment_for_seats_that_are_taken_waits_for_its_refund(desk: Desk) -> None:
    reference = desk.held("3", ended=True)
    reservations.release_all()
    desk.held("3")
    answer = desk.paid(reference)
    assert (answer.status, answer.json["status"], answer.json["booking_status"]) == (
        200,
        "needs_refund",
        "expired",
    )
    assert kinds(answer) == ["payment_receipt_email", "payment_status_push"]
    [refund] = desk.refunds()
    assert (refund["transaction_id"], refund["booking_reference"], refund["method"]) == ("GW-1", reference, "card")
    assert (Decimal(refund["amount"]), refund["currency"]) == (Decimal(15_000), "NGN")
    assert datetime.now(UTC) - datetime.fromisoformat(refund["received_at"]) < timedelta(hours=1)
    assert desk.free_seats() == 39


def test_the_same_payment_again_says_the_same_and_tells_nobody(desk: Desk) -> None:
    reference = desk.held("3")
    first, again = desk.paid(reference), desk.paid(reference)
    assert again.status == 200
    assert again.json == first.json | {"messages": []}
    assert len(rows()) == len(CONFIRMED)
    twice = desk.paid(reference, number="GW-2")
    assert (twice.json["status"], twice.json["booking_status"]) == ("needs_refund", "confirmed")
    assert [refund["transaction_id"] for refund in desk.refunds()] == ["GW-2"]


def test_refunds_come_the_oldest_first(desk: Desk) -> None:
    reference = desk.held("3")
    for number in (1, 2, 3):
        desk.paid(reference, number=f"GW-{number}")
    change("UPDATE payments SET created_at = created_at - interval '1 h' WHERE transaction_id = 'GW-3'")
    assert [refund["transaction_id"] for refund in desk.refunds()] == ["GW-3", "GW-2"]


def test_what_is_not_known_is_a_problem_that_names_the_field(desk: Desk) -> None:
    reference, other = desk.held("3"), desk.held("4")
    desk.paid(reference)
    for answer, field in (
        (desk.paid("PF22222222"), "booking_reference"),
        (desk.paid(other), "transaction_id"),
        (desk.hold("5", trip_id=10**6), "trip_id"),
        (desk.hold("5", user_id=10**6), "user_id"),
        (desk.hold("41"), "seats"),
    ):
        assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
        assert answer.json["detail"].startswith(f"{field}: ")
    assert desk.refunds() == []


@pytest.mark.parametrize(
    ("route", "body", "named"),
    [
        ("holds", {"trip_id": "secret", "user_id": 1, "seats": ["3"]}, {"trip_id"}),
        ("holds", {"trip_id": 1, "user_id": 1, "seats": []}, {"seats"}),
        ("holds", {"trip_id": 10**30, "user_id": 1, "seats": ["3"]}, {"trip_id"}),
        ("holds", {}, {"trip_id", "user_id", "seats"}),
        ("payments", {}, {"booking_reference", "transaction_id", "authorized_at"}),
        (
            "payments",
            {"booking_reference": "x", "transaction_id": "y", "authorized_at": "2026-01-01 10:00"},
            {"authorized_at"},
        ),
        (
            "payments",
            {"booking_reference": "x" * 41, "transaction_id": "", "authorized_at": "2026-01-01T10:00Z"},
            {"booking_reference", "transaction_id"},
        ),
    ],
)
def test_bad_bodies_are_refused_by_field_and_not_repeated(
    route: str, body: dict[str, Any], named: set[str], desk: Desk
) -> None:
    answer = ask(f"{desk.url}/{route}", body)
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert {part.partition(": ")[0] for part in answer.json["detail"].split("; ")} == named
    assert "secret" not in answer.text


def test_text_that_no_row_takes_is_a_problem_too(desk: Desk) -> None:
    assert desk.paid(desk.held("3"), number="GW\x00").status == 422
    assert desk.paid("PF\x00").status == 422
