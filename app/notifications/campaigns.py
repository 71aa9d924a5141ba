"""Bulk messages: cut into chunks of tokens, let go a few at a time, summed up; paused, resumed and cancelled.

The campaign is a row of its own, whose id is the task's. Its chunks are messages that name it and are held until
it lets them go: a few when it first looks at them, then another whenever one ends. Each look does what its state
wants, so nothing depends on the moment at which an operator changed that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import Connection

from app.core.database import transaction
from app.core.errors import PafarError
from app.messages.base import Kind
from app.messages.kinds import CAMPAIGNS
from app.messages.payload_types import BulkPushNotification
from app.messages.recipients import MAX_TOKENS
from app.notifications import campaign_store, many, policy
from app.notifications.campaign_store import Progress, State
from app.notifications.outcome import Failed, Postponed, Recordable, Sent, Skipped
from app.notifications.store import Claim, NewMessage

#: Seconds between two looks of a campaign at its chunks, and of one that is paused.
PACE, PAUSED_PACE = 2.0, 15.0


class CampaignOver(PafarError):
    """The campaign is finished or cancelled; neither can be changed."""


def cut(connection: Connection, chunk: Kind, campaign: NewMessage, payload: Any) -> None:
    """Write the campaign's state and its chunks, held, beside its own row `campaign`."""
    whom = payload.notification_data.user_tokens
    campaign_store.insert(connection, campaign.id, users=whom.users, tokens=whom.given)
    many.insert(connection, _chunks(chunk, campaign, payload))


def _chunks(chunk: Kind, campaign: NewMessage, payload: BulkPushNotification) -> Iterator[NewMessage]:
    given = payload.notification_data.user_tokens.tokens
    tokens = iter(given)
    while some := list(islice(tokens, MAX_TOKENS)):
        times = {token: given[token] for token in some if given[token] > 1}
        own = {"campaign": str(campaign.id), "times": times, "token_count": sum(given[t] for t in some)}
        yield replace(
            campaign,
            id=uuid_utils.compat.uuid7(),
            kind=chunk.name,
            task=chunk.task,
            payload=campaign.payload | own,
            pending_tokens=some,
            wait=campaign.validity.at_least.total_seconds() + 1,  # held: not before it has lost its point
            campaign_id=campaign.id,
        )


def step(held: Claim) -> Recordable | None:
    """What becomes of a campaign or its chunk; None for what is to be sent. Raises DatabaseUnavailable."""
    if held.kind in CAMPAIGNS:
        return _look(held)
    return _why_not(held, held.campaign_id) if held.campaign_id else None


def chunk_ended(connection: Connection, held: Claim) -> None:
    """If this was an attempt on a chunk, let the next one go."""
    if held.campaign_id is not None:
        campaign_store.let_go(connection, held.campaign_id)


def _why_not(held: Claim, campaign_id: UUID) -> Recordable | None:
    with transaction() as connection:
        state = campaign_store.state(connection, campaign_id)
    if state is State.CANCELLED:
        return policy.skip(State.CANCELLED, "Not sent: its campaign was cancelled", {})
    if state is State.PAUSED:  # held again, as it was before it was let go
        return Postponed((held.valid_until - held.now).total_seconds(), "its campaign is paused")
    return None


def _look(held: Claim) -> Recordable:
    with transaction() as connection:
        if campaign_store.state(connection, held.id) is State.CANCELLED:
            campaign_store.drop_held(connection, held.id)
        campaign_store.let_go(connection, held.id)
        now = campaign_store.progress(connection, held.id)
    outcome = _postpone(now) if now.chunks_held or now.chunks_under_way else _end(now)
    more_sent, more_failed = now.success_count - held.sent_count, now.failure_count - held.failed_count
    return replace(outcome, sent_count=more_sent, failed_count=more_failed)


def _postpone(now: Progress) -> Postponed:
    if now.state is not State.PAUSED:
        return Postponed(PACE, "its chunks are being sent")
    return Postponed(PACE if now.chunks_under_way else PAUSED_PACE, "the campaign is paused")


def _end(now: Progress) -> Sent | Skipped | Failed:
    result: dict[str, Any] = {
        "success": True,
        "message": f"Bulk push sent to {now.success_count} of {now.total_tokens} tokens",
        "total_users": now.total_users,
        "total_tokens": now.total_tokens,
        "success_count": now.success_count,
        "failure_count": now.failure_count,
    }
    if now.skipped and (now.state is State.CANCELLED or not (now.success_count or now.failed)):
        reason = State.CANCELLED if now.state is State.CANCELLED else now.skipped
        return Skipped(reason, result | {"skipped": reason})
    if now.success_count:
        return Sent(result, None)
    return Failed(now.failed or "")


def pause(connection: Connection, campaign_id: UUID) -> Progress:
    """Send no more chunks until `resume`; those under way finish. Raises NoSuchCampaign, CampaignOver."""
    return _change(connection, campaign_id, State.PAUSED)


def resume(connection: Connection, campaign_id: UUID) -> Progress:
    """Go on where it was paused. Raises NoSuchCampaign, CampaignOver."""
    return _change(connection, campaign_id, State.RUNNING)


def cancel(connection: Connection, campaign_id: UUID) -> Progress:
    """Never send what is left; chunks under way finish. Raises NoSuchCampaign, CampaignOver."""
    return _change(connection, campaign_id, State.CANCELLED)


def _change(connection: Connection, campaign_id: UUID, state: State) -> Progress:
    now = campaign_store.progress(connection, campaign_id)
    if now.state is not state:
        if now.finished or now.state is State.CANCELLED:
            over = "cancelled" if now.state is State.CANCELLED else "finished"
            raise CampaignOver(f"campaign {campaign_id} is {over} and can't be changed")
        campaign_store.change(connection, campaign_id, state)
    return replace(now, state=state)
