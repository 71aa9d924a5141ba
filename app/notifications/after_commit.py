"""Runs what must wait for a session's commit, and forgets it when the transaction rolls back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from app.core.broker import WakeUp

_KEY = "pafar.after_commit"

Publish = Callable[[list[WakeUp]], None]


@dataclass(slots=True)
class _Pending:
    publish: Publish
    #: each with the transaction or savepoint it was written in
    wake_ups: list[tuple[SessionTransaction | None, WakeUp]] = field(default_factory=list)


def after_commit(session: Session, wake_up: WakeUp, publish: Publish) -> None:
    """Have `publish` called once with all wake-ups of this transaction, right after its commit."""
    pending: _Pending = session.info.setdefault(_KEY, _Pending(publish))
    pending.wake_ups.append((session.get_nested_transaction() or session.get_transaction(), wake_up))


# On all sessions at once: to listen to each that tells of something costs its booking 75 µs.
@event.listens_for(Session, "after_commit")
def _committed(session: Session) -> None:
    pending: _Pending | None = session.info.get(_KEY)
    if pending is None:
        return
    # Fires for a released savepoint too: its messages now belong to what is around it.
    inner = session.get_nested_transaction()
    if inner is not None:
        pending.wake_ups = [(inner.parent if where is inner else where, w) for where, w in pending.wake_ups]
        return
    del session.info[_KEY]
    if pending.wake_ups:
        pending.publish([wake_up for _, wake_up in pending.wake_ups])


@event.listens_for(Session, "after_soft_rollback")
def _rolled_back(session: Session, previous: SessionTransaction) -> None:
    pending: _Pending | None = session.info.get(_KEY)
    if pending is not None:
        pending.wake_ups = [(where, w) for where, w in pending.wake_ups if not _within(where, previous)]


def _within(inner: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while inner is not None and inner is not outer:
        inner = inner.parent
    return inner is outer or outer.parent is None
