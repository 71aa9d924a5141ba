"""The push tasks: what a passenger's phones receive, what the caller gets back, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.tasks.base import DeliveryFailed
from app.tasks.push_notification_tasks import (
    send_booking_confirmation_push,
    send_location_update_push,
    send_payment_status_push,
    send_promotional_push,
    send_trip_status_push,
)
from sandbox.standins.fcm import fcm_error
from tests import data
from tests.house import House
from tests.rows import row
from tests.tasks import SOON, refusal

pytestmark = pytest.mark.usefixtures("worker")

PHONE = ["token-of-adas-phone"]


def status(word: str, **more: Any) -> dict[str, Any]:
    """Arguments of a trip's status."""
    return {"device_tokens": PHONE, "trip_data": {"status": word, "booking_reference": "PF7K2QXM", **more}}


def location(**changes: Any) -> dict[str, Any]:
    """Arguments of a bus's whereabouts."""
    given = {
        "landmark": "Ore Junction",
        "eta_minutes": 12,
        "trip_id": 7,
        "latitude": 6.7471,
        "longitude": "4.8761",
    }
    return {"device_tokens": PHONE, "location_data": given | changes}


def payment(word: str, **changes: Any) -> dict[str, Any]:
    """Arguments of a payment's status."""
    given = {"status": word, "amount": "30000.00", "booking_reference": "PF7K2QXM", "payment_id": "pay-81"}
    return {"device_tokens": PHONE, "payment_data": given | changes}


def promotion(**changes: Any) -> dict[str, Any]:
    """Arguments of an offer."""
    return {"device_tokens": PHONE, "promotion_data": {"message": "10 % off all trips to Abuja.", **changes}}


def received(house: House) -> dict[str, Any]:
    """The one push that has come."""
    [only] = house.ledger.entries("push")
    assert "None" not in f"{only['title']} {only['body']} {only['tag']} {only['data']}"
    return only


def test_a_booking_is_confirmed_on_the_phone(house: House) -> None:
    result = send_booking_confirmation_push.delay(**data.push(booking_id=5)).get(timeout=SOON)
    assert (result["booking_reference"], result["sent_count"], result["failed_count"]) == ("PF7K2QXM", 1, 0)
    push = received(house)
    assert (push["title"], push["body"]) == ("🎫 Booking confirmed", "Lagos → Abuja. Reference PF7K2QXM.")
    assert push["data"]["booking_id"] == "5"


@pytest.mark.parametrize(
    ("arguments", "title", "body"),
    [
        (status("departed"), "🚌 Bus departed", "Your bus has left."),
        (status("delayed", delay_minutes=45), "⏰ Trip delayed", "Your trip is delayed by 45 min. We are sorry."),
        (status("delayed"), "⏰ Trip delayed", "Your trip is delayed. We are sorry."),
        (status("arriving", eta_minutes=9), "📍 Arriving soon", "Your bus arrives in about 9 min."),
        (status("arriving", eta_minutes=0), "📍 Arriving soon", "Your bus arrives now."),
        (status("Arriving"), "📍 Arriving soon", "Your bus arrives soon."),
        (status("completed"), "✅ Trip completed", "You have arrived. Thank you for travelling with Pafar."),
        (status("cancelled"), "❌ Trip cancelled", "Your trip is cancelled. Open the app for details."),
        (status("boarding"), "ℹ️ Trip update", "There is news about your trip. Open the app for details."),  # noqa: RUF001
    ],
)
def test_each_status_of_a_trip_has_its_words(
    house: House, arguments: dict[str, Any], title: str, body: str
) -> None:
    result = send_trip_status_push.delay(**arguments).get(timeout=SOON)
    assert result == {
        "success": True,
        "message": "Trip status push sent",
        "booking_reference": "PF7K2QXM",
        "sent_count": 1,
        "failed_count": 0,
    }
    push = received(house)
    assert (push["title"], push["body"]) == (title, f"{body} Booking PF7K2QXM.")
    assert push["tag"] == "trip-PF7K2QXM"  # the same for each, so that a newer one replaces an older


def test_a_status_says_when_it_was_so(house: House) -> None:
    arguments = status("departed", timestamp="2024-01-15T10:05:00+01:00", trip_id=7)
    send_trip_status_push.delay(**arguments).get(timeout=SOON)
    push = received(house)
    assert push["body"].endswith("As of 15 Jan 10:05 WAT.")
    assert (push["data"]["trip_id"], push["data"]["status"]) == ("7", "departed")


def test_an_older_status_never_comes_after_a_newer_one(house: House) -> None:
    older = send_trip_status_push.apply_async(kwargs=status("departed"), countdown=1)
    newer = send_trip_status_push.delay(**status("cancelled"))
    assert newer.get(timeout=SOON)["sent_count"] == 1
    assert older.get(timeout=SOON)["skipped"] == "superseded"
    assert received(house)["title"] == "❌ Trip cancelled"
    assert [(row(result.id) or {})["priority"] for result in (older, newer)] == [3, 0]  # it went first


def test_each_phone_gets_its_own_status(house: House) -> None:
    first = send_trip_status_push.apply_async(kwargs=status("departed"), countdown=1)
    second = send_trip_status_push.delay(**status("departed") | {"device_tokens": ["token-of-adas-tablet"]})
    assert [r.get(timeout=SOON)["sent_count"] for r in (first, second)] == [1, 1]
    assert {push["token"] for push in house.ledger.entries("push")} == {*PHONE, "token-of-adas-tablet"}


def test_a_bus_is_shown_while_its_place_is_true(house: House) -> None:
    result = send_location_update_push.delay(**location()).get(timeout=SOON)
    assert (result["trip_id"], result["sent_count"], result["failed_count"]) == ("7", 1, 0)
    push = received(house)
    assert push["body"] == "Your bus is near Ore Junction and arrives in about 12 min."
    where = {"type": "location_update", "trip_id": "7", "latitude": "6.7471", "longitude": "4.8761"}
    assert where.items() <= push["data"].items()
    assert push["tag"] == "location-7"
    assert 0 < int(push["ttl"].removesuffix("s")) <= 180


@pytest.mark.parametrize(
    ("word", "title", "body"),
    [
        ("completed", "✅ Payment received", "We have received {} for booking PF7K2QXM."),
        (
            "failed",
            "❌ Payment failed",
            "Your payment of {} for booking PF7K2QXM failed. Open the app to try again.",
        ),
        ("refunded", "💰 Payment refunded", "Your payment of {} for booking PF7K2QXM has been refunded."),
        (
            "pending",
            "💳 Payment update",
            "There is news about your payment of {} for booking PF7K2QXM. Open the app for details.",
        ),
    ],
)
def test_each_status_of_a_payment_has_its_words(house: House, word: str, title: str, body: str) -> None:
    result = send_payment_status_push.delay(**payment(word, locale="en_NG")).get(timeout=SOON)
    assert (result["payment_id"], result["sent_count"], result["failed_count"]) == ("pay-81", 1, 0)
    push = received(house)
    assert (push["title"], push["body"]) == (title, body.format("₦30,000.00"))
    assert push["tag"] == "payment-PF7K2QXM"
    assert house.fcm.messages[-1]["android"]["priority"] == "HIGH"


def test_an_offer_comes_last_and_as_it_was_worded(house: House) -> None:
    until = (datetime.now(UTC) + timedelta(days=2)).replace(hour=11, minute=0).isoformat()
    more = {"title": "Eid offer", "promotion_id": 31, "discount_code": "EID10", "valid_until": until}
    sent = send_promotional_push.delay(**promotion(**more))
    assert sent.get(timeout=SOON)["promotion_id"] == "31"
    assert (push := received(house))["title"] == "Eid offer"
    assert push["body"].startswith("10 % off all trips to Abuja.\nCode: EID10\nValid until ")
    assert push["body"].endswith(" 12:00 WAT")
    assert push["data"]["discount_code"] == "EID10"
    assert (row(sent.id) or {})["priority"] == 9
    assert house.fcm.messages[-1]["android"]["priority"] == "NORMAL"


def test_an_offer_needs_no_more_than_its_message(house: House) -> None:
    assert send_promotional_push.delay(**promotion()).get(timeout=SOON)["promotion_id"] is None
    push = received(house)
    assert (push["title"], push["body"]) == ("🎁 An offer from Pafar", "10 % off all trips to Abuja.")
    assert 0 < int(push["ttl"].removesuffix("s")) <= 86_400


def test_an_offer_that_is_over_is_not_made(house: House) -> None:
    result = send_promotional_push.delay(**promotion(valid_until="2024-01-15 10:00:00")).get(timeout=SOON)
    assert (result["success"], result["skipped"]) == (True, "expired")
    assert house.ledger.entries() == []


def test_a_phone_that_is_gone_is_counted_and_the_others_are_told(house: House) -> None:
    house.fcm.tokens["token-gone"] = fcm_error("UNREGISTERED")
    arguments = status("departed") | {"device_tokens": [*PHONE, "token-gone", "token-of-adas-tablet", *PHONE]}
    result = send_trip_status_push.delay(**arguments).get(timeout=SOON)
    assert (result["success"], result["sent_count"], result["failed_count"]) == (True, 2, 1)
    assert len(house.ledger.entries("push")) == 2


def test_when_no_phone_is_left_the_task_fails_and_shows_no_token(house: House) -> None:
    house.fcm.tokens["token-gone"] = fcm_error("UNREGISTERED")
    result = send_payment_status_push.delay(**payment("failed") | {"device_tokens": ["token-gone"]})
    with pytest.raises(DeliveryFailed, match="InvalidRecipient") as caught:
        result.get(timeout=SOON)
    assert result.state == "FAILURE"
    assert "token-gone" not in str(caught.value)


@pytest.mark.parametrize(
    ("task", "parameter", "fields", "optional"),
    [
        (
            send_booking_confirmation_push,
            "booking_data",
            ("booking_reference", "origin", "destination"),
            ("booking_id", "trip_id"),
        ),
        (
            send_trip_status_push,
            "trip_data",
            ("status", "booking_reference"),
            ("trip_id", "delay_minutes", "eta_minutes", "timestamp"),
        ),
        (
            send_location_update_push,
            "location_data",
            ("landmark", "eta_minutes"),
            ("trip_id", "booking_reference", "latitude", "longitude"),
        ),
        (send_payment_status_push, "payment_data", ("status", "amount", "booking_reference"), ("payment_id",)),
        (
            send_promotional_push,
            "promotion_data",
            ("message",),
            ("title", "promotion_id", "discount_code", "valid_until"),
        ),
    ],
)
def test_every_bad_field_is_named(
    task: Any, parameter: str, fields: tuple[str, ...], optional: tuple[str, ...]
) -> None:
    name = {"user_name": "Ada Obi"} if task is send_booking_confirmation_push else {}
    empty: dict[str, Any] = {"device_tokens": [], parameter: {}} | name
    assert refusal(task, empty) == {"device_tokens", *(f"{parameter}.{field}" for field in fields)}
    wrong: dict[str, Any] = {"device_tokens": [""], parameter: {f: [] for f in [*fields, *optional]}} | name
    assert refusal(task, wrong) == {"device_tokens", *(f"{parameter}.{f}" for f in [*fields, *optional])}


@pytest.mark.parametrize("degrees", [90.01, "north", True, float("nan"), "1e400"])
def test_a_latitude_is_a_number_of_degrees(degrees: Any) -> None:
    assert refusal(send_location_update_push, location(latitude=degrees)) == {"location_data.latitude"}
