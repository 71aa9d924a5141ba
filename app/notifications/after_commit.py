"""Runs what must wait for a session's commit, and forgets it when the transaction rolls back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from app.core.broker import WakeUp

_KEY = "pafar.after_commit"

#: (the transaction or savepoint it was written in, what to publish)
Pending = list[tuple[SessionTransaction | None, WakeUp]]


def after_commit(session: Session, wake_up: WakeUp, publish: Callable[[list[WakeUp]], None]) -> None:
    """Have `publish` called once with all wake-ups of this transaction, right after its commit."""
    pending: Pending | None = session.info.get(_KEY)
    if pending is None:
        pending = session.info[_KEY] = []
        _listen(session, publish)
    pending.append((session.get_nested_transaction() or session.get_transaction(), wake_up))


def _listen(session: Session, publish: Callable[[list[WakeUp]], None]) -> None:
    def committed(session: Session) -> None:
        # Fires for a released savepoint too: its messages now belong to what is around it.
        inner = session.get_nested_transaction()
        pending: Pending = session.info[_KEY]
        if inner is not None:
            pending[:] = [(inner.parent if where is inner else where, w) for where, w in pending]
        else:
            wake_ups = [wake_up for _, wake_up in pending]
            pending.clear()
            if wake_ups:
                publish(wake_ups)

    def rolled_back(session: Session, previous: SessionTransaction) -> None:
        pending: Pending = session.info[_KEY]
        pending[:] = [(where, w) for where, w in pending if not _within(where, previous)]

    listeners: dict[str, Any] = {"after_commit": committed, "after_soft_rollback": rolled_back}
    for name, listener in listeners.items():
        event.listen(session, name, listener)


def _within(inner: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while inner is not None and inner is not outer:
        inner = inner.parent
    return inner is outer or outer.parent is None
