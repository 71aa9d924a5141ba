"""What the stand-ins received, as a person wants to read it."""

from __future__ import annotations

import time
from typing import Any

import smsutil

#: Channels in the order in which they are shown, and how people write them.
CHANNELS = {"email": "e-mail", "sms": "SMS", "push": "push"}

#: What one segment holds, alone or joined to others: septets of GSM-7 (3GPP TS 23.038, 23.040) or UTF-16 units.
_GSM7 = ("GSM-7", 160, 153)
_UCS2 = ("UCS-2", 70, 67)


def message_id(entry: dict[str, Any]) -> str:
    """The id of the message row that the ledger's `entry` is the delivery of."""
    match entry["channel"]:
        case "email":
            return str(entry["message_id"]).strip("<>").partition("@")[0]
        case "sms":
            return str(entry["reference"])
        case _:
            return str(entry["data"]["nid"])


def segments(text: str) -> str:
    """What an SMS costs, as "GSM-7 · 1 segment · 132/160"."""
    found = smsutil.split(text)
    gsm7 = found.encoding == "gsm0338"
    name, alone, joined = _GSM7 if gsm7 else _UCS2
    count = len(found.parts)
    used = found.total_bytes if gsm7 else found.total_bytes // 2
    room = alone if count == 1 else joined * count
    return f"{name} · {count} segment{'s' if count > 1 else ''} · {used}/{room}"


def summary(entry: dict[str, Any]) -> str:
    """One line of what the passenger reads."""
    match entry["channel"]:
        case "email":
            return f"“{entry['subject']}”"
        case "sms":
            return f"“{entry['message']}” ({segments(entry['message'])})"
        case _:
            return f"“{entry['title']}” “{entry['body']}”"


def card(entry: dict[str, Any]) -> dict[str, Any]:
    """`entry` with what its card shows besides: `time` (of day) and, for an SMS, `segments`."""
    shown = {**entry, "time": time.strftime("%H:%M:%S", time.localtime(entry["at"]))}
    if entry["channel"] == "sms":
        shown["segments"] = segments(entry["message"])
    return shown
