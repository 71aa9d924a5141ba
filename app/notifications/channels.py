"""One attempt on one channel: renders, hands to the provider, and says what became of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel

from app.core.errors import DatabaseUnavailable
from app.core.redaction import redact
from app.messages.base import Channel, Kind
from app.messages.payloads import details
from app.messages.render import render_email, render_push, render_sms
from app.notifications import circuit, devices
from app.notifications.outcome import Failed, Postponed, Recordable, Sent, Unanswered
from app.notifications.store import Claim
from app.providers import registry
from app.providers.base import Email, Push, PushResult, Receipt, Sms
from app.providers.errors import (
    InvalidRecipient,
    OutcomeUnknown,
    Permanent,
    ProviderError,
    RateLimited,
    Rejected,
)

T = TypeVar("T")

log = structlog.get_logger(__name__)

#: Exponential backoff with full jitter, in seconds: the first wait is up to FIRST_WAIT, none is above LAST_WAIT.
FIRST_WAIT, LAST_WAIT = 4.0, 300.0
#: Seconds over which those that met an open circuit come back.
CIRCUIT_SPREAD = 30.0
#: What a provider that says "slow down" gets if it names no time (FCM's manual asks for 60 s).
RATE_LIMIT_WAIT = 60.0


def attempt(held: Claim, kind: Kind, payload: Any) -> Recordable:
    """Render and send; whatever sending raises becomes an outcome. Raises whatever rendering raises."""
    send = {Channel.EMAIL: _email, Channel.SMS: _sms, Channel.PUSH: _push}[kind.channel]
    return send(held, kind, payload)


def repeats(kind: Kind, payload: BaseModel) -> dict[str, Any]:
    """The keys of the payload's data that every result of this kind repeats; None where one was not given."""
    data = details(payload)
    return {key: getattr(data, key, None) for key in kind.result_keys}


def _email(held: Claim, kind: Kind, payload: Any) -> Recordable:
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
        receipt = _hand_over(Channel.EMAIL, lambda: provider.send(message))
    except ProviderError as error:
        return _not_accepted(held, kind, error)
    return Sent(_success(kind, payload), receipt.provider_id)


def _sms(held: Claim, kind: Kind, payload: Any) -> Recordable:
    message = Sms(
        reference=str(held.id),
        to=payload.phone_number,
        text=render_sms(kind, payload),
        valid_for=_seconds_left(held),
    )
    try:
        provider = registry.sms()
        receipt = _hand_over(Channel.SMS, lambda: provider.send(message))
    except ProviderError as error:
        return _not_accepted(held, kind, error)
    return Sent(_success(kind, payload, sms_id=receipt.provider_id), receipt.provider_id)


def _push(held: Claim, kind: Kind, payload: Any) -> Recordable:
    rendered = render_push(kind, payload)
    message = Push(
        reference=str(held.id),
        title=rendered.title,
        body=rendered.body,
        data=rendered.data,
        tag=rendered.tag,
        ttl=_seconds_left(held),
    )
    tokens = held.pending_tokens or []
    try:
        provider = registry.push()
        results = _hand_over(Channel.PUSH, lambda: provider.send(message, tokens), _error_of_all)
    except ProviderError as error:
        outcome = _not_accepted(held, kind, error)
        return replace(outcome, failed_count=len(tokens)) if isinstance(outcome, Failed) else outcome
    pairs = list(zip(tokens, results, strict=True))
    with suppress(DatabaseUnavailable):  # then the next push finds them dead again
        devices.forget([token for token, result in pairs if isinstance(result, InvalidRecipient)])
    return _tally(held, kind, payload, pairs)


def _hand_over(
    channel: Channel, send: Callable[[], T], error_in: Callable[[T], ProviderError | None] = lambda _: None
) -> T:
    """Send through the channel's circuit. A fault of our own, or a time limit, leaves the outcome unknown."""
    try:
        return circuit.call(channel, send, error_in)
    except ProviderError:
        raise
    except Exception as error:
        log.exception("a send broke off")
        raise OutcomeUnknown(f"{type(error).__name__} while sending") from error


def _error_of_all(results: list[PushResult]) -> ProviderError | None:
    """What kept FCM from taking any of them; None if it took one, or if only the devices are to blame."""
    if any(isinstance(result, Receipt) for result in results):
        return None
    errors = [r for r in results if isinstance(r, ProviderError)]
    return next((e for e in errors if not isinstance(e, InvalidRecipient | Rejected)), None)


def _tally(held: Claim, kind: Kind, payload: Any, results: list[tuple[str, PushResult]]) -> Recordable:
    """Sum up a push: tokens that can still be tried in time are postponed, the rest is counted."""
    accepted = [r for _, r in results if isinstance(r, Receipt)]
    errors = [(token, r) for token, r in results if isinstance(r, ProviderError)]
    again = [(token, e) for token, e in errors if _retriable(kind, e)]
    failed = len(errors) - len(again)
    if again:
        worst = max((e for _, e in again), key=lambda e: e.retry_after or 0.0)
        wait = _wait(held, worst)
    if again and wait < _seconds_left(held):
        return Postponed(
            wait=wait,
            reason=_reason(worst),
            unknown=any(isinstance(e, OutcomeUnknown) for _, e in again),
            pending_tokens=tuple(token for token, _ in again),
            sent_count=len(accepted),
            failed_count=failed,
        )
    total_sent, total_failed = held.sent_count + len(accepted), held.failed_count + len(errors)
    if total_sent == 0:
        return Failed(_reason(errors[0][1]), failed_count=len(errors))
    result = _success(kind, payload, sent_count=total_sent, failed_count=total_failed)
    provider_id = accepted[0].provider_id if accepted else None
    return Sent(result, provider_id, sent_count=len(accepted), failed_count=len(errors))


def _not_accepted(held: Claim, kind: Kind, error: ProviderError) -> Recordable:
    if _retriable(kind, error):
        wait = _wait(held, error)
        if wait < _seconds_left(held):
            return Postponed(wait, _reason(error), unknown=isinstance(error, OutcomeUnknown))
        if not isinstance(error, OutcomeUnknown):
            return Failed(f"no time left for another attempt: {_reason(error)}")
    if isinstance(error, OutcomeUnknown):
        return Unanswered(_reason(error))
    return Failed(_reason(error))


def _retriable(kind: Kind, error: ProviderError) -> bool:
    if isinstance(error, OutcomeUnknown):
        return kind.resend_unknown
    return not isinstance(error, Permanent)


def _wait(held: Claim, error: ProviderError) -> float:
    """Seconds until the next attempt; what the provider asked for is a floor, jitter spreads the crowd."""
    if isinstance(error, circuit.CircuitOpen):  # nothing was tried: it does not count as a failure of its own
        return (error.retry_after or 0.0) + random.uniform(0, CIRCUIT_SPREAD)  # noqa: S311 - jitter, no secret
    if isinstance(error, RateLimited):
        floor = error.retry_after or RATE_LIMIT_WAIT
        return floor + random.uniform(0, floor / 4)  # noqa: S311 - jitter, not a secret
    ceiling = min(LAST_WAIT, FIRST_WAIT * 2 ** min(held.attempt - 1, 10))
    return (error.retry_after or 0.5) + random.uniform(0, ceiling)  # noqa: S311


def _reason(error: ProviderError) -> str:
    code = f" ({error.code})" if error.code else ""
    return redact(f"{type(error).__name__}: {error}{code}")


def _success(kind: Kind, payload: Any, **more: Any) -> dict[str, Any]:
    message = f"{kind.name.replace('_', ' ').capitalize()} sent"
    return {"success": True, "message": message, **repeats(kind, payload), **more}


def _seconds_left(held: Claim) -> int:
    return max(1, int((held.valid_until - held.now).total_seconds()))
