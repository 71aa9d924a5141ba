"""One attempt by SMS."""

from __future__ import annotations

from typing import Any

from app.messages.base import Channel, Kind
from app.messages.render import render_sms
from app.notifications.channels.outcomes import hand_over, not_accepted, seconds_left, success
from app.notifications.outcome import Recordable, Sent
from app.notifications.store import Claim
from app.providers import registry
from app.providers.base import Sms
from app.providers.errors import ProviderError


def send(held: Claim, kind: Kind, payload: Any) -> Recordable:
    message = Sms(
        reference=str(held.id),
        to=payload.phone_number,
        text=render_sms(kind, payload),
        valid_for=seconds_left(held),
    )
    try:
        provider = registry.sms()
        receipt = hand_over(Channel.SMS, lambda: provider.send(message))
    except ProviderError as error:
        return not_accepted(held, kind, error)
    return Sent(success(kind, payload, sms_id=receipt.provider_id), receipt.provider_id)
