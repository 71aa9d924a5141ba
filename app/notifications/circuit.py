"""A circuit breaker for each channel: an outage of its provider costs few calls, the rest waits in rows."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from typing import TypeVar

from app.core.breaker import Breaker
from app.messages.base import Channel
from app.providers.errors import (
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    RecipientBusy,
    Transient,
)

T = TypeVar("T")

#: Failures in a row after which a channel's provider is left alone, and for how many seconds.
THRESHOLD, COOL_DOWN = 5, 15.0

_breakers = {channel: Breaker(cool_down=COOL_DOWN, threshold=THRESHOLD) for channel in Channel}
#: Until when (seconds since 1970) each channel's circuit is open, as told last by this process or a fork of it.
_open_until = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")
_PLACE = {channel: index for index, channel in enumerate(Channel)}


class CircuitOpen(Transient):
    """The channel's provider failed a moment ago and is left alone for a while."""


def call(
    channel: Channel, send: Callable[[], T], error_in: Callable[[T], ProviderError | None] = lambda _: None
) -> T:
    """`send()`, unless the channel's circuit is open. Raises CircuitOpen and what `send` raises.

    `error_in` finds the failure in what `send` returned, None if it worked.
    """
    breaker = _breakers[channel]
    if not breaker.allow():
        raise CircuitOpen(retry_after=breaker.remaining)
    try:
        result = send()
    except ProviderError as error:
        note(channel, error)
        raise
    error_found = error_in(result)
    if error_found is None:
        breaker.succeeded()
        _tell(channel)
    else:
        note(channel, error_found)
    return result


def note(channel: Channel, error: ProviderError) -> None:
    """What an error says about the provider: refused credentials stop the channel, a dead number does not."""
    breaker = _breakers[channel]
    if isinstance(error, Misconfigured):
        breaker.trip()
    elif isinstance(error, Transient | OutcomeUnknown) and not isinstance(error, RateLimited | RecipientBusy):
        breaker.failed()
    else:
        breaker.succeeded()  # it answered, so it is there
    _tell(channel)


def open_until(channel: Channel) -> float:
    """When the channel's provider is tried again (seconds since 1970), 0.0 while it works.

    Of several processes that forked from one, what the last of them to call the provider found.
    """
    return _open_until[_PLACE[channel]]


def _tell(channel: Channel) -> None:
    remaining = _breakers[channel].remaining
    _open_until[_PLACE[channel]] = time.time() + remaining if remaining else 0.0


def close_all() -> None:
    """Forget what failed (a fresh start of the process's providers)."""
    for channel, breaker in _breakers.items():
        breaker.succeeded()
        _tell(channel)
