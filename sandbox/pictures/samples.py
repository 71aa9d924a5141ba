"""What the pictures show: messages of each kind that passengers get, with names and places as they are."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

_LAGOS, _DAKAR = "Africa/Lagos", "Africa/Dakar"

Message = tuple[str, dict[str, Any]]


def messages() -> list[Message]:
    """Kind and arguments of each, oldest first; the page unfolds the last e-mail."""
    return [*_emails(), *_texts(), *_pushes()]


def _at(days: int, clock: str, zone: str) -> str:
    """An ISO 8601 time so many days from today; messages about buses that have left would not be sent."""
    day = datetime.now(ZoneInfo(zone)).date() + timedelta(days=days)
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(zone)).isoformat()


def _family() -> dict[str, Any]:
    """A booking of four seats, paid in naira."""
    return {
        "booking_reference": "PF7K2QXM",
        "origin": "Lagos",
        "destination": "Ìbàdàn",
        "departure_time": _at(9, "06:30", _LAGOS),
        "arrival_time": _at(9, "09:15", _LAGOS),
        "seats": ["12A", "12B", "13A", "13B"],
        "bus_info": {"plate": "LAG-412-XA", "model": "Yutong ZK6122"},
        "total_amount": "48000.00",
        "currency": "NGN",
        "locale": "en_NG",
        "timezone": _LAGOS,
    }


def _french() -> dict[str, Any]:
    """A booking in francs, which have no cents, between towns with long names."""
    return {
        "booking_reference": "PFT3W9HC",
        "origin": "Ouagadougou",
        "destination": "Bobo-Dioulasso",
        "departure_time": _at(5, "10:30", _DAKAR),
        "seats": ["7", "8"],
        "total_amount": "15000",
        "refund_amount": "13500",
        "refund_reference": "RF-20817",
        "currency": "XOF",
        "locale": "fr_SN",
        "timezone": _DAKAR,
    }


def _emails() -> list[Message]:
    payment = {
        "transaction_id": "TX-0192E4C0-7A31",
        "booking_reference": "PFM8V2RD",
        "amount": "64.50",
        "currency": "USD",
        "locale": "en_NG",
        "timezone": _LAGOS,
        "payment_method": "Visa •••• 4242",
        "payment_date": _at(0, "00:05", _LAGOS),
        "status": "completed",
    }
    return [
        ("payment_receipt_email", _to("oluwaseun", "Oluwaseun Adébáyọ̀-Ogunlẹ́yẹ", payment_data=payment)),
        ("booking_cancellation_email", _to("aissatou", "Aïssatou Diop", booking_data=_french())),
        ("booking_confirmation_email", _to("zoe", "Zoë Adeyemi", booking_data=_family())),
    ]


def _to(account: str, name: str, **data: Any) -> dict[str, Any]:
    return {"user_email": f"{account}@passengers.example", "user_name": name, **data}


def _texts() -> list[Message]:
    zoe = {"phone_number": "+2348121234501", "user_name": "Zoë Adeyemi"}
    aissatou = {"phone_number": "+221771234501", "user_name": "Aïssatou Diop"}
    delay = _family() | {"delay_minutes": 45, "new_departure_time": _at(9, "07:15", _LAGOS)}
    return [
        ("otp_sms", {"phone_number": zoe["phone_number"], "otp_code": "493817", "purpose": "login"}),
        ("booking_confirmation_sms", zoe | {"booking_data": _family()}),
        ("booking_confirmation_sms", aissatou | {"booking_data": _french()}),
        ("trip_delay_sms", zoe | {"trip_data": delay}),
        ("trip_departure_sms", zoe | {"trip_data": _family()}),
        ("trip_arrival_sms", zoe | {"trip_data": _family() | {"eta_minutes": 12}}),
    ]


def _pushes() -> list[Message]:
    offer = {
        "title": "🎁 Ten per cent off to Abuja",
        "message": "Travel before the rains with 10 % off all trips to Abuja.",
        "discount_code": "ABUJA10",
        "valid_until": _at(20, "23:59", _LAGOS),
        "timezone": _LAGOS,
    }
    news = {"title": "New terminal in Utako", "body": "From Monday all buses to Abuja arrive at Utako Motor Park."}
    payment = {"booking_reference": "PF7K2QXM", "amount": "48000.00", "currency": "NGN", "locale": "en_NG"}
    place = {"landmark": "Ṣàgámù Interchange", "eta_minutes": 40, "trip_id": 7}
    return [
        ("promotional_push", {"device_tokens": ["sandbox-phone-zoe"], "promotion_data": offer}),
        ("bulk_push_notification", {"notification_data": news | {"user_tokens": {"4": ["sandbox-phone-zoe"]}}}),
        ("booking_expired_push", {"device_tokens": ["sandbox-phone-aissatou"], "booking_data": _french()}),
        *(_push("payment_status", payment_data=payment | {"status": s}) for s in ("failed", "completed")),
        _push("booking_confirmation", user_name="Zoë Adeyemi", booking_data=_family()),
        _push("trip_status", trip_data=_status("delayed", delay_minutes=45)),
        _push("trip_status", trip_data=_status("departed", timestamp=_at(9, "07:15", _LAGOS))),
        _push("location_update", location_data=place),
        _push("trip_status", trip_data=_status("arriving", eta_minutes=9)),
        _push("trip_status", trip_data=_status("completed")),
        _push("trip_status", trip_data=_status("cancelled") | {"booking_reference": "PFT3W9HC"}),
        _push("payment_status", payment_data=payment | {"status": "refunded"}),
    ]


def _push(kind: str, **arguments: Any) -> Message:
    return f"{kind}_push", {"device_tokens": ["sandbox-phone-zoe"], **arguments}


def _status(status: str, **more: Any) -> dict[str, Any]:
    return {"status": status, "booking_reference": "PF7K2QXM", "timezone": _LAGOS, "locale": "en_NG", **more}
