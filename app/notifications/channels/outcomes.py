"""What every channel's attempt shares: the circuit, the wait before the next one, the words of the outcome."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from opentelemetry.trace import SpanKind
from pydantic import BaseModel

from app.core import tracing
from app.core.redaction import redact
from app.messages.base import Channel, Kind
from app.messages.payloads import details
from app.notifications import circuit
from app.notifications.outcome import Failed, Postponed, Unanswered
from app.notifications.store import Claim
from app.providers.errors import Misconfigured, OutcomeUnknown, Permanent, ProviderError, RateLimited

T = TypeVar("T")

log = structlog.get_logger(__name__)

#: Exponential backoff with full jitter, in seconds: the first wait is up to FIRST_WAIT, none is above LAST_WAIT.
FIRST_WAIT, LAST_WAIT = 4.0, 300.0
#: Seconds over which those that met an open circuit come back.
CIRCUIT_SPREAD = 30.0
#: What a provider that says "slow down" gets if it names no time (FCM's manual asks for 60 s).
RATE_LIMIT_WAIT = 60.0


def repeats(kind: Kind, payload: BaseModel) -> dict[str, Any]:
    """The keys of the payload's data that every result of this kind repeats; None where one was not given."""
    data = details(payload)
    return {key: getattr(data, key, None) for key in kind.result_keys}


def hand_over(
    channel: Channel, send: Callable[[], T], error_in: Callable[[T], ProviderError | None] = lambda _: None
) -> T:
    """Send through the channel's circuit. A fault of our own, or a time limit, leaves the outcome unknown."""
    try:
        with tracing.span(f"send {channel}", SpanKind.CLIENT):
            result = circuit.call(channel, send, error_in)
    except ProviderError as error:
        _alarm(channel, error)
        raise
    except Exception as error:
        log.exception("a send broke off")
        raise OutcomeUnknown(f"{type(error).__name__} while sending") from error
    _alarm(channel, error_in(result))
    return result


def _alarm(channel: Channel, error: ProviderError | None) -> None:
    """Refused credentials stop the channel for everybody, and only an operator can mend them."""
    if isinstance(error, Misconfigured):
        log.error("the channel is stopped", channel=str(channel), reason=reason(error))


def not_accepted(held: Claim, kind: Kind, error: ProviderError) -> Failed | Postponed | Unanswered:
    """What becomes of a message that was not accepted: later, never, or nobody knows."""
    if retriable(kind, error):
        wait = next_wait(held, error)
        if wait < seconds_left(held):
            return Postponed(wait, reason(error), unknown=isinstance(error, OutcomeUnknown))
        if not isinstance(error, OutcomeUnknown):
            return Failed(f"no time left for another attempt: {reason(error)}")
    if isinstance(error, OutcomeUnknown):
        return Unanswered(reason(error))
    return Failed(reason(error))


def retriable(kind: Kind, error: ProviderError) -> bool:
    """Whether this error leaves room for another attempt at a message of this kind."""
    if isinstance(error, OutcomeUnknown):
        return kind.resend_unknown
    return not isinstance(error, Permanent)


def next_wait(held: Claim, error: ProviderError) -> float:
    """Seconds until the next attempt; what the provider asked for is a floor, jitter spreads the crowd."""
    if isinstance(error, circuit.CircuitOpen):  # nothing was tried: how often says nothing about the provider
        return (error.retry_after or 0.0) + random.uniform(0, CIRCUIT_SPREAD)  # noqa: S311 - jitter, no secret
    if isinstance(error, RateLimited):
        floor = error.retry_after or RATE_LIMIT_WAIT
        return floor + random.uniform(0, floor / 4)  # noqa: S311 - jitter, not a secret
    ceiling = min(LAST_WAIT, FIRST_WAIT * 2 ** min(held.attempt - 1, 10))
    return (error.retry_after or 0.5) + random.uniform(0, ceiling)  # noqa: S311 - jitter, not a secret


def reason(error: ProviderError) -> str:
    """The error in one line, without addresses, numbers and secrets."""
    code = f" ({error.code})" if error.code and error.code not in str(error) else ""
    return redact(f"{type(error).__name__}: {error}{code}")


def success(kind: Kind, payload: Any, **more: Any) -> dict[str, Any]:
    """The task's result: success, a sentence, the keys that the kind repeats, and `more`."""
    message = f"{kind.name.replace('_', ' ').capitalize()} sent"
    return {"success": True, "message": message, **repeats(kind, payload), **more}


def seconds_left(held: Claim) -> int:
    """Until the claimed message loses its point, by the database's clock; 1 at least."""
    return max(1, int((held.valid_until - held.now).total_seconds()))
