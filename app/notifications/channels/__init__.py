"""One attempt on one channel: renders, hands to the provider, and says what became of it."""

from __future__ import annotations

from typing import Any

from app.messages.base import Channel, Kind
from app.notifications.channels import email, push, sms
from app.notifications.channels.outcomes import CIRCUIT_SPREAD, repeats, seconds_left
from app.notifications.outcome import Recordable
from app.notifications.store import Claim

__all__ = ["CIRCUIT_SPREAD", "attempt", "repeats", "seconds_left"]

_SENDERS = {Channel.EMAIL: email.send, Channel.SMS: sms.send, Channel.PUSH: push.send}


def attempt(held: Claim, kind: Kind, payload: Any) -> Recordable:
    """Render and send; whatever sending raises becomes an outcome. Raises whatever rendering raises."""
    return _SENDERS[kind.channel](held, kind, payload)
