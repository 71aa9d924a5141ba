"""One attempt by push: to every token still to send, each with a result of its own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from app.core.errors import DatabaseUnavailable
from app.messages.base import Channel, Kind
from app.messages.render import render_push
from app.notifications import devices, preferences
from app.notifications.channels.outcomes import (
    hand_over,
    next_wait,
    not_accepted,
    reason,
    repeats,
    retriable,
    seconds_left,
    success,
)
from app.notifications.outcome import Failed, Postponed, Recordable, Sent, Unanswered
from app.notifications.policy import skip
from app.notifications.store import Claim
from app.providers import registry
from app.providers.base import Push, PushResult, Receipt
from app.providers.errors import InvalidRecipient, Misconfigured, OutcomeUnknown, ProviderError, Rejected

#: Seconds before an offer is looked at again of which nobody could be asked.
ASK_WAIT = 1.0


def send(held: Claim, kind: Kind, payload: Any) -> Recordable:
    """Send the claimed push to its tokens; what came of it. A provider's error is an outcome too, others pass."""
    tokens = held.pending_tokens or []
    if kind.offer:
        try:
            tokens = preferences.taking_offers(tokens)
        except DatabaseUnavailable:
            return Postponed(ASK_WAIT, "the database is away, so nobody knows who has refused offers")
        if not tokens and held.sent_count:  # those that are left have refused since
            return _tally(held, kind, payload, [])
        if not tokens:
            return skip("opted_out", "Not sent: the passenger wants no offers", repeats(kind, payload))
    message = _message(held, kind, payload)
    try:
        provider = registry.push()
        results = hand_over(Channel.PUSH, lambda: provider.send(message, tokens), _error_in)
    except ProviderError as error:
        outcome = not_accepted(held, kind, error)
        return outcome if isinstance(outcome, Postponed) else replace(outcome, failed_count=len(tokens))
    pairs = list(zip(tokens, results, strict=True))
    with suppress(DatabaseUnavailable):  # then the next push finds them dead again
        devices.forget([token for token, result in pairs if isinstance(result, InvalidRecipient)])
    return _tally(held, kind, payload, pairs)


def _message(held: Claim, kind: Kind, payload: Any) -> Push:
    rendered = render_push(kind, payload)
    return Push(
        reference=str(held.id),
        title=rendered.title,
        body=rendered.body,
        data=rendered.data,
        tag=rendered.tag,
        ttl=seconds_left(held),
        offer=kind.offer,
        repeatable=kind.resend_unknown,
    )


def _error_in(results: list[PushResult]) -> ProviderError | None:
    """What kept FCM from taking any of them; None if it took one, or if only the devices are to blame.

    Refused credentials are found even so: those of APNs are ours, and only iPhones show that they are wrong.
    """
    errors = [r for r in results if isinstance(r, ProviderError)]
    refused = next((e for e in errors if isinstance(e, Misconfigured)), None)
    if refused or len(errors) < len(results):
        return refused
    return next((e for e in errors if not isinstance(e, InvalidRecipient | Rejected)), None)


def _tally(held: Claim, kind: Kind, payload: Any, results: list[tuple[str, PushResult]]) -> Recordable:
    """Sum up a push: tokens that can still be tried in time are postponed, the rest is counted."""
    accepted = [(token, r) for token, r in results if isinstance(r, Receipt)]
    times = getattr(payload, "times", {})  # a bulk push counts a token as often as it was given
    told = sum(times.get(token, 1) for token, _ in accepted)
    errors = [(token, r) for token, r in results if isinstance(r, ProviderError)]
    again = [(token, e) for token, e in errors if retriable(kind, e)]
    failed = len(errors) - len(again)
    repeated = any(r.repeated for _, r in accepted)
    if again:
        worst = max((e for _, e in again), key=lambda e: e.retry_after or 0.0)
        wait = next_wait(held, worst)
    if again and wait < seconds_left(held):
        return Postponed(
            wait=wait,
            reason=reason(worst),
            unknown=repeated or any(isinstance(e, OutcomeUnknown) for _, e in again),
            pending_tokens=tuple(token for token, _ in again),
            sent_count=told,
            failed_count=failed,
        )
    total_sent, total_failed = held.sent_count + told, held.failed_count + len(errors)
    if total_sent == 0:
        return _reached_nobody([e for _, e in errors])
    result = success(kind, payload, sent_count=total_sent, failed_count=total_failed)
    provider_id = accepted[0][1].provider_id if accepted else None
    return Sent(result, provider_id, sent_count=told, failed_count=len(errors), unknown=repeated)


def _reached_nobody(errors: list[ProviderError]) -> Failed | Unanswered:
    """Failed, and so to be replayed, is only what certainly no phone has got."""
    unknown = next((e for e in errors if isinstance(e, OutcomeUnknown)), None)
    if unknown:
        return Unanswered(reason(unknown), failed_count=len(errors))
    return Failed(reason(errors[0]), failed_count=len(errors))
