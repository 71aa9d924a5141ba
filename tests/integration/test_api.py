"""The API and the operators' page, asked over HTTP while the real server runs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests import data
from tests.house import House, wait_until
from tests.operators import Operator, new_key
from tests.rows import rows
from tests.web import ask

SOON = 30.0
NOTIFICATIONS = "/api/v1/notifications"


@pytest.fixture(scope="module")
def url(whole_house: House) -> Iterator[str]:
    with whole_house.api() as address:
        yield address


def test_a_reference_that_no_booking_can_have_is_refused(url: str) -> None:
    refused = ask(f"{url}{NOTIFICATIONS}?booking_reference=PF%00")
    assert refused.status == 422
    assert "booking_reference" in refused.json["detail"]


@pytest.mark.usefixtures("worker")
def test_a_booking_over_http_is_told_on_every_channel(house: House, url: str) -> None:
    trip, user = data.make_trip()
    [on_sale] = ask(f"{url}/api/v1/trips").json
    assert (on_sale["id"], on_sale["available_seats"], on_sale["taken_seats"]) == (trip, 40, [])

    new = {"trip_id": trip, "user_id": user, "seats": ["12", "3"]}
    booked = ask(f"{url}/api/v1/bookings", new)
    assert booked.status == 201
    assert booked.json["seats"] == ["3", "12"]
    reference = booked.json["booking_reference"]

    def standings() -> list[str]:
        return [m["status"] for m in ask(f"{url}{NOTIFICATIONS}?booking_reference={reference}").json]

    wait_until(lambda: standings() == ["sent"] * 4, SOON)
    assert ask(f"{url}/api/v1/trips").json[0]["taken_seats"] == ["3", "12"]

    again = ask(f"{url}/api/v1/bookings", new)
    assert again.status == 409
    assert again.headers["content-type"] == "application/problem+json"
    assert "3, 12" in again.json["detail"] or "12, 3" in again.json["detail"]
    assert len(rows()) == 4


@pytest.mark.usefixtures("worker")
def test_a_message_over_http_is_accepted_once_for_each_key(house: House, url: str) -> None:
    new = {"kind": "booking_confirmation_sms", "arguments": data.sms()}
    first = ask(url + NOTIFICATIONS, new, Idempotency_Key="order-1")
    again = ask(url + NOTIFICATIONS, new, Idempotency_Key="order-1")
    assert first.status == again.status == 202
    assert first.json["id"] == again.json["id"]
    wait_until(lambda: ask(f"{url}{NOTIFICATIONS}/{first.json['id']}").json["status"] == "sent", SOON)
    assert len(house.ledger.entries("sms")) == 1


@pytest.mark.usefixtures("house")
def test_bad_input_is_a_problem_that_names_the_fields_and_repeats_nothing(url: str) -> None:
    bad = {"kind": "booking_confirmation_sms", "arguments": data.sms(seats=[]) | {"phone_number": "555-secret"}}
    answer = ask(url + NOTIFICATIONS, bad)
    assert answer.status == 422
    assert "phone_number" in answer.json["detail"]
    assert "booking_data.seats" in answer.json["detail"]
    assert "555-secret" not in answer.text
    unknown = ask(url + NOTIFICATIONS, {"kind": "carrier_pigeon", "arguments": {}})
    assert unknown.status == 422
    assert "booking_confirmation_sms" in unknown.json["detail"]
    assert ask(f"{url}/api/v1/bookings", {"trip_id": "x"}).status == 422
    assert ask(f"{url}{NOTIFICATIONS}/{uuid4()}").status == 404
    assert ask(f"{url}/nothing-here").headers["content-type"] == "application/problem+json"


@pytest.mark.usefixtures("house")
def test_answers_hold_nothing_personal(url: str) -> None:
    accepted = ask(url + NOTIFICATIONS, {"kind": "booking_confirmation_email", "arguments": data.email()})
    page = Operator(url, key=new_key()).get("/messages?reference=PF7K2QXM")
    for text in (accepted.text, page.text):
        assert "PF7K2QXM" in text
        assert "ada@" not in text
        assert "Ada" not in text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_page_says_when_the_broker_is_away(house: House, url: str) -> None:
    operator = Operator(url, key=new_key())
    house.valkey.stop()
    try:
        page = operator.get("/")
    finally:
        house.valkey.restart()
    assert page.status == 200
    assert "away" in page.text


def test_ready_and_live(house: House, url: str) -> None:
    assert ask(f"{url}/health/live").status == 204
    assert ask(f"{url}/health/ready").json == {"ready": True}
    with house.api(DATABASE_URL="postgresql://postgres@127.0.0.1:1/pafar") as lonely:
        assert ask(f"{lonely}/health/live").status == 204
        ready = ask(f"{lonely}/health/ready")
        assert (ready.status, ready.json["ready"]) == (503, False)
        refused = ask(lonely + NOTIFICATIONS)
        assert refused.status == 503
        assert refused.headers["retry-after"]


def test_with_a_key_set_only_its_holders_come_in(house: House) -> None:
    with house.api(API_KEY="sesame-for-tests") as url:
        assert ask(url + NOTIFICATIONS).status == 401
        assert ask(url + NOTIFICATIONS, Authorization="Bearer wrong").status == 401
        assert ask(url + NOTIFICATIONS, Authorization="Bearer sesame-for-tests").status == 200
        assert ask(f"{url}/").status == 401
        basic = b64encode(b"anyone:sesame-for-tests").decode()
        assert ask(f"{url}/", Authorization=f"Basic {basic}").status == 200
        assert ask(f"{url}/health/live").status == 204
