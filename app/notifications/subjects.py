"""Supersession: of several messages about the same thing to one person, only the newest is worth sending.

Each message of a subject takes a revision when its acceptance commits, and its turn when it is sent: two workers
never send two messages of one subject at once, so an older one can't arrive after a newer one.
"""

from __future__ import annotations

from enum import Enum, auto
from operator import itemgetter
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, RootTransaction, event, text


class Turn(Enum):
    """Whether a message of a subject may be sent now."""

    OURS = auto()  #: it is the newest, and nobody else sends one of this subject
    TAKEN = auto()  #: another message of this subject is being sent
    SUPERSEDED = auto()  #: a newer one was accepted


#: What each open transaction has accepted; one that rolls back takes its entry along.
_accepted: WeakKeyDictionary[RootTransaction, list[dict[str, Any]]] = WeakKeyDictionary()

# A message whose savepoint was rolled back is no row, and supersedes nothing.
_ENTER = text("""
    WITH newest AS (
        INSERT INTO subjects (subject, revision) SELECT :subject, 1 FROM notifications WHERE id = :id
        ON CONFLICT (subject) DO UPDATE SET revision = subjects.revision + 1 RETURNING revision)
    UPDATE notifications SET revision = newest.revision FROM newest WHERE id = :id
""")


def enter(connection: Connection, subject: str, message_id: UUID) -> None:
    """Give a message just written the next revision when the transaction commits: those before it are superseded.

    Not sooner: whoever raises a subject's revision locks the subject, and the workers that send its messages
    would wait for all that the caller's transaction has still to do.
    """
    transaction = connection.get_transaction() or connection.begin()
    if transaction not in _accepted:
        _accepted[transaction] = []
        event.listen(connection, "commit", _enter_all)
    _accepted[transaction].append({"subject": subject, "id": message_id})


def _enter_all(connection: Connection) -> None:
    """Just before the COMMIT; in one order for all, so that no two transactions wait for each other."""
    transaction = connection.get_transaction()
    if transaction is not None and (accepted := _accepted.pop(transaction, None)):
        connection.execute(_ENTER, sorted(accepted, key=itemgetter("subject")))


def take_turn(connection: Connection, subject: str, *, revision: int, message_id: UUID, lease: float) -> Turn:
    """Hold the subject for `lease` seconds, as long as the message itself is held."""
    newest = connection.scalar(
        text(
            "INSERT INTO subjects (subject, revision, holder_id, held_until)"
            " VALUES (:subject, :revision, :id, clock_timestamp() + make_interval(secs => :lease))"
            " ON CONFLICT (subject) DO UPDATE"
            "   SET holder_id = excluded.holder_id, held_until = excluded.held_until"
            "   WHERE subjects.holder_id IS NULL OR subjects.holder_id = excluded.holder_id"
            "      OR subjects.held_until <= clock_timestamp()"
            " RETURNING revision"
        ),
        {"subject": subject, "revision": revision, "id": message_id, "lease": lease},
    )
    if newest is None:
        return Turn.TAKEN
    return Turn.OURS if newest == revision else Turn.SUPERSEDED


def end_turn(connection: Connection, subject: str, message_id: UUID) -> None:
    """Let the next message of the subject be sent."""
    connection.execute(
        text("UPDATE subjects SET holder_id = NULL WHERE subject = :subject AND holder_id = :id"),
        {"subject": subject, "id": message_id},
    )
