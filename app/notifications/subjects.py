"""Supersession: of several messages about the same thing to one person, only the newest is worth sending.

Each message of a subject takes a revision when it is accepted, and its turn when it is sent: two workers never
send two messages of one subject at once, so an older one can't arrive after a newer one.
"""

from __future__ import annotations

from enum import Enum, auto
from uuid import UUID

from sqlalchemy import Connection, text


class Turn(Enum):
    """Whether a message of a subject may be sent now."""

    OURS = auto()  #: it is the newest, and nobody else sends one of this subject
    TAKEN = auto()  #: another message of this subject is being sent
    SUPERSEDED = auto()  #: a newer one was accepted


def enter(connection: Connection, subject: str, message_id: UUID) -> None:
    """Give a message just written the next revision; those before it are superseded once this commits."""
    connection.execute(
        text(
            "WITH newest AS ("
            " INSERT INTO subjects (subject, revision) VALUES (:subject, 1)"
            " ON CONFLICT (subject) DO UPDATE SET revision = subjects.revision + 1 RETURNING revision)"
            " UPDATE notifications SET revision = newest.revision FROM newest WHERE id = :id"
        ),
        {"subject": subject, "id": message_id},
    )


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
