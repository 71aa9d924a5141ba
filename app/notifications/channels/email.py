"""One attempt by e-mail."""

from __future__ import annotations

from typing import Any

from app.messages.base import Channel, Kind
from app.messages.render import render_email
from app.notifications.channels.outcomes import hand_over, not_accepted, success
from app.notifications.outcome import Recordable, Sent
from app.notifications.store import Claim
from app.providers import registry
from app.providers.base import Email
from app.providers.errors import ProviderError


def send(held: Claim, kind: Kind, payload: Any) -> Recordable:
    rendered = render_email(kind, payload)
    message = Email(
        reference=str(held.id),
        to=payload.user_email,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
    )
    try:
        provider = registry.email()
        receipt = hand_over(Channel.EMAIL, lambda: provider.send(message))
    except ProviderError as error:
        return not_accepted(held, kind, error)
    return Sent(success(kind, payload), receipt.provider_id)
