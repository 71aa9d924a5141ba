"""Accepts messages: validates, writes row and to-do line, and publishes the wake-up after the commit."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import uuid_utils.compat
from pydantic import BaseModel
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from app.core.broker import WakeUp, broker
from app.core.config import get_settings
from app.core.database import transaction
from app.core.errors import BrokerUnavailable, DatabaseUnavailable
from app.messages.base import InvalidPayload, Kind
from app.messages.kinds import CHUNKS, KINDS
from app.messages.payloads import Defaults, details, dump, validate
from app.notifications import campaigns, keys, many, outbox, sealed, store, subjects
from app.notifications.after_commit import after_commit

#: How far a UUIDv7's time may lie from ours for the id to be taken as a row's id: partitions are by the day.
ID_WINDOW = 86_400.0
#: Of many messages, how many bad ones an error names.
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that is written. `wake_up` is to be published after the commit, None if somebody else will."""

    id: UUID
    wake_up: WakeUp | None


def check(kind: Kind, arguments: Mapping[str, Any]) -> None:
    """Whether `accept` would take these arguments. Raises InvalidPayload, as it would."""
    _demand_callable(kind)
    validate(kind, arguments, defaults())


def accept(
    connection: Connection,
    kind: Kind,
    arguments: Mapping[str, Any],
    *,
    message_id: UUID | None = None,
    idempotency_key: str | None = None,
    wait: float = 0.0,
) -> Accepted:
    """Write a message in the caller's transaction, to be sent `wait` seconds from now or later.

    `arguments` are the task's parameters by name. With a key that was used before, the earlier message is
    returned and nothing is written. Raises InvalidPayload, which names every bad field, and SettingsError for a
    sensitive kind without a key to seal it.
    """
    _demand_callable(kind)
    payload = validate(kind, arguments, defaults())
    message_id = message_id or uuid_utils.compat.uuid7()
    if idempotency_key is not None:
        earlier = keys.remember(connection, idempotency_key, message_id)
        if earlier != message_id:
            return Accepted(earlier, None)
    message = _compose(kind, payload, message_id, wait)
    publish_directly = wait <= 0 and not broker.breaker.is_open
    written_at = store.insert(connection, message, published=publish_directly)
    if written_at is not None:
        _enter(connection, kind, message, payload)
    if written_at is None or not publish_directly:
        return Accepted(message.id, None)
    return Accepted(message.id, WakeUp(str(message.id), kind.task, kind.queue, message.priority, written_at))


def _enter(connection: Connection, kind: Kind, message: store.NewMessage, payload: Any) -> None:
    """Write what a new message has besides its own row."""
    if message.subject is not None:
        subjects.enter(connection, message.subject, message.id)
    if kind.chunks:
        campaigns.cut(connection, KINDS[kind.chunks], message, payload)


def accept_many(connection: Connection, kind: Kind, arguments: Sequence[Mapping[str, Any]]) -> list[UUID]:
    """As `accept`, many messages of one kind in few statements; the relay publishes them. Their ids, in order.

    Raises InvalidPayload, which names the bad ones by their index: then nothing is written.
    """
    _demand_callable(kind)
    if kind.chunks:
        raise InvalidPayload(f"{kind.name}: is itself for many, and accepted alone")
    payloads = _all_valid(kind, arguments)
    messages = [_compose(kind, payload, uuid_utils.compat.uuid7(), wait=0.0) for payload in payloads]
    many.insert(connection, messages)
    for message in messages:
        if message.subject is not None:
            subjects.enter(connection, message.subject, message.id)
    return [message.id for message in messages]


def accept_in(session: Session, kind: Kind, arguments: Mapping[str, Any], **options: Any) -> UUID:
    """As `accept`, in the session's transaction: published once that commits, gone if it rolls back."""
    accepted = accept(session.connection(), kind, arguments, **options)
    if accepted.wake_up is not None:
        after_commit(session, accepted.wake_up, publish_all)
    return accepted.id


def accept_now(kind: Kind, arguments: Mapping[str, Any], **options: Any) -> UUID:
    """As `accept`, in a transaction of its own, and publish. Raises DatabaseUnavailable, InvalidPayload."""
    with transaction() as connection:
        accepted = accept(connection, kind, arguments, **options)
    publish(accepted)
    return accepted.id


def accept_task(kind: Kind, arguments: Mapping[str, Any], task_id: str, *, wait: float = 0.0) -> Accepted:
    """As `accept`, in a transaction of its own, for a task with an id; publishing is left to the caller.

    An id that can't be a row's id becomes the row's idempotency key.
    """
    own = row_id(task_id)
    key = None if own else f"task:{task_id}"
    with transaction() as connection:
        return accept(connection, kind, arguments, message_id=own, idempotency_key=key, wait=wait)


def adopt(kind: Kind, arguments: Mapping[str, Any], task_id: str) -> UUID:
    """The row of a task that came with its arguments: made now unless it is there already.

    Such a task comes from another program, or from us while the database was away. It is being run, so
    nothing is published.
    """
    return accept_task(kind, arguments, task_id).id


def find(task_id: str) -> UUID | None:
    """The row that a task's id stands for, None if there can be none."""
    if (own := row_id(task_id)) is not None:
        return own
    with transaction() as connection:
        return keys.lookup(connection, f"task:{task_id}")


def publish(accepted: Accepted) -> None:
    """Publish one message after its commit, as `publish_all`."""
    if accepted.wake_up is not None:
        publish_all([accepted.wake_up])


def publish_all(wake_ups: list[WakeUp]) -> None:
    """Publish after the commit; what the broker does not take now, the relay publishes. Never raises for it."""
    try:
        broker.publish(wake_ups)
    except BrokerUnavailable:
        # Without this the relay would think them published, and look again only after the grace.
        with suppress(DatabaseUnavailable), transaction() as connection:
            outbox.not_published(connection, [UUID(wake_up.id) for wake_up in wake_ups])


def row_id(task_id: str) -> UUID | None:
    """`task_id` as a row's id: a UUIDv7 of about now; None for any other."""
    try:
        candidate = UUID(task_id)
    except ValueError:
        return None
    seconds = (candidate.int >> 80) / 1000
    return candidate if candidate.version == 7 and abs(time.time() - seconds) < ID_WINDOW else None


def _demand_callable(kind: Kind) -> None:
    if kind.name in CHUNKS:
        raise InvalidPayload(f"{kind.name}: comes from a bulk push alone")


def _all_valid(kind: Kind, arguments: Sequence[Mapping[str, Any]]) -> list[BaseModel]:
    valid: list[BaseModel] = []
    problems: list[str] = []
    filled_in = defaults()
    for index, given in enumerate(arguments):
        try:
            valid.append(validate(kind, given, filled_in))
        except InvalidPayload as error:
            problems.append(f"{index}: {error}")
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise InvalidPayload("; ".join(problems[:SHOWN]) + more)
    return valid


def _compose(kind: Kind, payload: BaseModel, message_id: UUID, wait: float) -> store.NewMessage:
    stored = dump(payload)
    return store.NewMessage(
        id=message_id,
        kind=kind.name,
        task=kind.task,
        queue=kind.queue,
        priority=kind.priority_of(payload),
        payload=sealed.to_store(kind, stored, message_id),
        booking_reference=getattr(details(payload), "booking_reference", None),
        subject=kind.subject(payload) if kind.subject else None,
        validity=kind.validity(payload),
        pending_tokens=stored.get("device_tokens"),
        wait=wait,
    )


def defaults(*, stored: bool = False) -> Defaults:
    """What a payload takes from the settings where it is silent; `stored` says that it lay in a row."""
    settings = get_settings()
    return Defaults(
        currency=settings.default_currency,
        locale=settings.default_locale,
        timezone=settings.default_timezone,
        phone_region=settings.default_phone_region,
        phone_countries=frozenset((settings.sms_allowed_countries or "").split(",")) - {""},
        stored=stored,
    )
