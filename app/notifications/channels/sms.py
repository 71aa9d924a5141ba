"""One attempt by SMS."""

from __future__ import annotations

from typing import Any

from babel.dates import format_timedelta

from app.core.config import get_settings
from app.core.database import transaction
from app.core.errors import DatabaseUnavailable
from app.messages.base import Channel, Kind
from app.messages.payload_types import OtpSms
from app.messages.render import render_sms
from app.messages.sms_text import size
from app.notifications import limits
from app.notifications.channels.outcomes import hand_over, not_accepted, repeats, seconds_left, success
from app.notifications.outcome import Postponed, Recordable, Sent, Skipped
from app.notifications.policy import skip
from app.notifications.store import Claim
from app.providers import registry
from app.providers.base import Sms
from app.providers.errors import ProviderError

#: Seconds before a code is looked at again that could not be counted.
COUNT_WAIT = 1.0


def send(held: Claim, kind: Kind, payload: Any) -> Recordable:
    """Send the claimed text; what came of it. A provider's error is an outcome too, others pass."""
    if isinstance(payload, OtpSms) and (refused := _limited(held, kind, payload)):
        return refused
    text = render_sms(kind, payload, web_otp_domain=get_settings().web_otp_domain)
    message = Sms(reference=str(held.id), to=payload.phone_number, text=text, valid_for=seconds_left(held))
    try:
        provider = registry.sms()
        receipt = hand_over(Channel.SMS, lambda: provider.send(message))
    except ProviderError as error:
        return not_accepted(held, kind, error)
    cost = size(text)
    told = {"encoding": cost.encoding.title, "segments": cost.segments}
    return Sent(success(kind, payload, sms_id=receipt.provider_id), receipt.provider_id, told=told)


def _limited(held: Claim, kind: Kind, payload: OtpSms) -> Skipped | Postponed | None:
    """Why this code does not go now; None if it may, which is then counted."""
    try:
        with transaction() as connection:
            limit = limits.reached(connection, payload.phone_number, held.id)
    except DatabaseUnavailable:
        return Postponed(COUNT_WAIT, "the database is away, so the codes to this number can't be counted")
    if limit is None:
        return None
    within = format_timedelta(limit.within, threshold=1.5, locale="en")
    had = f"Not sent: this number was sent {limit.most} codes within {within}, the most allowed"
    return skip("limited", had, repeats(kind, payload))
