"""Claim, commit, talk to the world, record: the only caller of providers.

No transaction is open while a provider is spoken to: a slow provider would hold connections and locks.
"""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import UUID

import structlog
from psycopg import DataError
from structlog.contextvars import bound_contextvars

from app.core import stopping
from app.core.database import driver_of, statement, transaction
from app.core.errors import DatabaseUnavailable, PafarError, SettingsError
from app.core.prepared import Executes
from app.core.sealing import UnknownKey
from app.messages.kinds import KINDS
from app.messages.payloads import validate
from app.notifications import campaigns, channels, policy, sealed, store, subjects
from app.notifications.outcome import Busy, Failed, Outcome, Postponed, Recordable, Sent, Skipped, Unanswered
from app.notifications.status import FINAL, Status
from app.notifications.subjects import Turn
from app.notifications.submit import defaults

log = structlog.get_logger(__name__)

#: Seconds for which an outcome is tried to be written, and the pause between: shorter than the relay's, so
#: that after an outage the outcome is there before anybody takes the message for abandoned.
RECORD_PATIENCE, RECORD_PAUSE = 60.0, 0.25
#: The same once the worker is asked to stop: with a send that has just begun, less than the minute that it has.
STOPPING_PATIENCE = 15.0

#: Seconds before a message whose turn it is not asks again, and before one that this worker can't open is tried
#: again, perhaps by a worker that can.
TURN_WAIT, KEY_WAIT = 1.0, 2.0

_STATUS: dict[type[Recordable], Status] = {
    Sent: Status.SENT,
    Skipped: Status.SKIPPED,
    Failed: Status.FAILED,
    Unanswered: Status.UNKNOWN,
}


class UnknownMessage(PafarError):
    """There is no such message: its transaction was rolled back, or its day has been dropped."""


def deliver(message_id: UUID) -> Outcome:
    """Bring one message as far as it gets now, and say how far that is.

    Calling it twice, or from two workers at once, sends once: only one of them holds the claim.
    Raises UnknownMessage, DatabaseUnavailable; a fault of our own while rendering is recorded and raised.
    """
    with statement() as alone:
        held = store.claim(alone, message_id)
    if held is None:
        return _as_it_stands(message_id)
    with bound_contextvars(message_id=str(message_id), kind=held.kind, attempt=held.attempt):
        outcome = _attempt(held)
        recorded = _record_patiently(held, outcome)
        log.info("attempt", outcome=type(outcome).__name__, **(outcome.told if isinstance(outcome, Sent) else {}))
    return outcome if recorded else _as_it_stands(message_id)


def _attempt(held: store.Claim) -> Recordable:
    try:
        turn = _turn(held)
        done = campaigns.step(held)
    except DatabaseUnavailable as error:  # nothing was handed over
        return Postponed(TURN_WAIT, str(error))
    if turn is Turn.TAKEN:
        return Postponed(TURN_WAIT, "an older message about the same is being sent")
    return done or _prepare_and_send(held, turn)


def _turn(held: store.Claim) -> Turn:
    if held.subject is None or held.revision is None:
        return Turn.OURS
    with statement() as alone:
        return subjects.take_turn(
            alone, held.subject, revision=held.revision, message_id=held.id, lease=store.LEASE
        )


def _prepare_and_send(held: store.Claim, turn: Turn) -> Recordable:
    try:
        kind = KINDS[held.kind]
        if held.unknown_attempts and not kind.resend_unknown:
            return Unanswered("the worker that sent it died before it heard the answer")
        payload = validate(kind, sealed.from_store(kind, held.payload, held.id), defaults(stored=True))
        repeats = channels.repeats(kind, payload)
        if turn is Turn.SUPERSEDED:
            return policy.skip("superseded", "Not sent: a newer message says more", repeats)
        refused = policy.why_not(valid_until=held.valid_until, now=held.now, repeats=repeats)
        return refused or channels.attempt(held, kind, payload)
    except (UnknownKey, SettingsError) as error:
        return _without_key(held, error)
    except Exception as error:
        # A fault of ours (a template, a bug): sending again would fail again. Visible, and can be replayed.
        _record_patiently(held, Failed(f"{type(error).__name__} in our own code"))
        raise


def _without_key(held: store.Claim, error: PafarError) -> Recordable:
    """While keys are changed another worker has this message's key, or this one after its restart."""
    if channels.seconds_left(held) > KEY_WAIT:
        return Postponed(KEY_WAIT, str(error))
    return Failed(str(error))


def _record_patiently(held: store.Claim, outcome: Recordable) -> bool:
    """Write the outcome even if the database is away for a while: unwritten, the message would go out again."""
    began = time.monotonic()
    while True:
        try:
            return _record(held, outcome)
        except DatabaseUnavailable:
            if time.monotonic() - began > (STOPPING_PATIENCE if stopping.asked() else RECORD_PATIENCE):
                raise
            time.sleep(RECORD_PAUSE)
        except DataError:  # PostgreSQL stores no U+0000, and a provider may call a message by any name
            if not isinstance(outcome, Sent) or outcome.provider_id is None:
                raise
            log.warning("the provider's id of a message can't be stored")
            outcome = _nameless(outcome)


def _nameless(outcome: Sent) -> Sent:
    """The same without what the provider calls it."""
    ours = {key: value for key, value in outcome.result.items() if value != outcome.provider_id}
    return replace(outcome, result=ours, provider_id=None)


def _record(held: store.Claim, outcome: Recordable) -> bool:
    """Write the outcome under the claim's attempt number; False if another attempt has taken over."""
    if held.subject is None and held.campaign_id is None:
        with statement() as alone:
            return _write(alone, held, outcome)
    with transaction() as connection:  # what is written to the subject or the campaign belongs to it
        driver = driver_of(connection)
        recorded = _write(driver, held, outcome)
        if recorded and held.subject is not None:  # a late attempt must not end the turn of the one after it
            subjects.end_turn(driver, held.subject, held.id)
        campaigns.chunk_ended(connection, held)
    return recorded


def _write(connection: Executes, held: store.Claim, outcome: Recordable) -> bool:
    if isinstance(outcome, Postponed):
        return store.postpone(connection, held, outcome)
    wipe = held.kind in KINDS and KINDS[held.kind].sensitive
    what = {name: getattr(outcome, name) for name in outcome.__slots__}  # asdict would copy what lies in them
    return store.finish(connection, held, _STATUS[type(outcome)], wipe=wipe, **what)


def _as_it_stands(message_id: UUID) -> Outcome:
    """The outcome that is already written, for a wake-up that came twice or too early."""
    with transaction() as connection:
        now = store.standing(connection, message_id)
    if now is None:
        raise UnknownMessage(f"no message {message_id}")
    if now.status not in FINAL:
        return Busy()
    if now.status in (Status.SENT, Status.SKIPPED):
        result = now.result or {}
        return Sent(result, None) if now.status is Status.SENT else Skipped(now.reason or "", result)
    return Failed(now.reason or "") if now.status is Status.FAILED else Unanswered(now.reason or "")
