"""A producer somewhere else: has the API accept messages, and looks whether each came once."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

from tests import data
from tests.house import House
from tests.rows import rows, to_do
from tests.web import ask

#: Bookings of their own, or a later push would make an earlier one pointless.
_numbers = count(1)


def accept(url: str, kind: str, arguments: dict[str, Any]) -> str:
    """The message's id."""
    accepted = ask(f"{url}/api/v1/notifications", {"kind": kind, "arguments": arguments})
    assert accepted.status == 202, accepted.text
    return str(accepted.json["id"])


def accept_each(url: str, count: int = 1) -> list[str]:
    """So many confirmations on every channel."""
    ids = []
    for _ in range(count):
        for channel, arguments in (("email", data.email), ("sms", data.sms), ("push", data.push)):
            booking = arguments(booking_reference=f"PF{next(_numbers):06}")
            ids.append(accept(url, f"booking_confirmation_{channel}", booking))
    return ids


def all_sent() -> bool:
    """Whether nothing is left to do."""
    return all(message["status"] == "sent" for message in rows()) and not to_do()


def taken(house: House) -> dict[str, int]:
    """How often the stand-in providers accepted each message."""
    found: Counter[str] = Counter()
    for entry in house.ledger.entries():
        if entry["channel"] == "email":
            found[str(entry["message_id"]).strip("<>").partition("@")[0]] += 1
        else:
            found[str(entry["reference"] if entry["channel"] == "sms" else entry["data"]["nid"])] += 1
    return dict(found)
