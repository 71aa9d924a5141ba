"""Good arguments for every kind of message, with all that it can say."""

from __future__ import annotations

from typing import Any

from app.messages.base import Kind
from app.messages.payloads import Defaults

DEFAULTS = Defaults(currency="NGN", locale="en_NG", timezone="Africa/Lagos", phone_region=None)

#: Every key that any task's `…_data` takes; each takes its own and ignores the others.
DATA: dict[str, Any] = {
    "booking_reference": "PF7K2QXM",
    "booking_id": 5,
    "trip_id": 7,
    "origin": "Lagos",
    "destination": "Abuja",
    "departure_time": "2026-12-24T09:00:00+01:00",
    "arrival_time": "2026-12-24T19:30:00+01:00",
    "new_departure_time": "2026-12-24T09:45:00+01:00",
    "timestamp": "2026-12-24T09:05:00+01:00",
    "payment_date": "2026-12-20T14:05:00+01:00",
    "valid_until": "2026-12-31T23:59:00+01:00",
    "seats": ["12", "13"],
    "bus_info": {"plate": "LAG-212-XY", "model": "Yutong ZK6122"},
    "delay_minutes": 45,
    "eta_minutes": 9,
    "landmark": "Ore Junction",
    "latitude": 6.7471,
    "longitude": 4.8761,
    "amount": "30000.00",
    "total_amount": "30000.00",
    "refund_amount": "27000.00",
    "refund_reference": "RF-81",
    "payment_id": "pay-81",
    "payment_method": "card",
    "transaction_id": "TX-0192E4C0",
    "status": "completed",
    "title": "Eid offer",
    "message": "10 % off all trips to Abuja.",
    "promotion_id": 31,
    "discount_code": "EID10",
    "body": "Buses to Abuja leave from Utako from Monday.",
    "data": {"screen": "news"},
    "user_tokens": {"7": ["token"]},
}
ARGUMENTS: dict[str, Any] = {
    "user_email": "ada@example.com",
    "phone_number": "+2348031234567",
    "device_tokens": ["token"],
    "user_name": 'Zoë <b>& "Co"</b>',
    "otp_code": "493817",
    "purpose": "login",
}


def arguments(kind: Kind, **changes: Any) -> dict[str, Any]:
    """The task's parameters by name; `changes` go into the parameter or the data of that name."""
    data = DATA | {name: value for name, value in changes.items() if name in DATA}
    named = [name for name in kind.payload.model_fields if name.endswith("_data")]
    outer = {name: value for name, value in changes.items() if name in ARGUMENTS}
    return {**ARGUMENTS, **outer, **dict.fromkeys(named, data)}
