"""What the rig sends: messages of every channel, accepted one by one as the product does, or many at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from app.core.broker import WakeUp
from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import submit
from tests import data

#: A one-time code that no number in a log is by chance, and too short to be taken for a phone number.
CODE = "8206519"
#: Our word for it → its kind, and where it gets the arguments.
SENDS: dict[str, tuple[str, Callable[..., dict[str, Any]]]] = {
    "email": ("booking_confirmation_email", data.email),
    "sms": ("booking_confirmation_sms", data.sms),
    "push": ("booking_confirmation_push", data.push),
    "delay": ("trip_delay_sms", data.delay),
    "otp": ("otp_sms", partial(data.otp, CODE)),
}


def accept(what: str, count: int, random: Random, changes: dict[str, Any]) -> tuple[list[str], list[WakeUp]]:
    """Write `count` messages in one transaction; their ids, and what is to be published."""
    kind, arguments = SENDS[what]
    if what == "delay":
        changes = {"booking_reference": _booking(random)} | changes
    with transaction() as connection:
        accepted = [
            submit.accept(connection, KINDS[kind], arguments(**_of_its_own(what, random) | changes))
            for _ in range(count)
        ]
    return [str(one.id) for one in accepted], [one.wake_up for one in accepted if one.wake_up]


def _of_its_own(what: str, random: Random) -> dict[str, Any]:
    """A push supersedes older ones of its booking: each is about another one."""
    return {"booking_reference": _booking(random)} if what == "push" else {}


def _booking(random: Random) -> str:
    return f"PF{random.randrange(10**9):09}"
