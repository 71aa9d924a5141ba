"""Supersession: of several messages about the same thing to one person, only the newest is worth sending.

Each message of a subject takes a revision when its acceptance commits, and its turn when it is sent: two workers
never send two messages of one subject at once, so an older one can't arrive after a newer one.
"""

from __future__ import annotations

from enum import Enum, auto
from operator import itemgetter
from uuid import UUID
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import Connection, RootTransaction, event, text

from app.core.prepared import Executes


class Turn(Enum):
    """Whether a message of a subject may be sent now."""

    OURS = auto()  #: it is the newest, and nobody else sends one of this subject
    TAKEN = auto()  #: another message of this subject is being sent
    SUPERSEDED = auto()  #: a newer one was accepted


#: What each open transaction has accepted; one that rolls back takes its entry along.
_accepted: WeakKeyDictionary[RootTransaction, list[tuple[str, UUID]]] = WeakKeyDictionary()

#: Messages that take their revisions in one statement.
AT_ONCE = 1000

# A message whose savepoint was rolled back is no row, and supersedes nothing. The range says in which days the ids
# lie. Subjects are locked in our order ("C"), so that no two transactions wait for each other; several messages of
# one take its next revisions as they came.
# PostgreSQL would compare pair by pair, where it expects few: of ids newer than its statistics one row, so each is
# looked for by itself (LIMIT keeps it from joining); of an array in a prepared statement ten, of JSON a hundred.
_ENTER = text("""
    WITH written AS MATERIALIZED (
        SELECT subject, given.id, row_number() OVER (PARTITION BY subject ORDER BY place) AS nth,
               count(*) OVER (PARTITION BY subject) AS of_all
        FROM ROWS FROM (json_to_recordset(CAST(:accepted AS json)) AS (subject text, id uuid))
             WITH ORDINALITY AS given(subject, id, place)
        CROSS JOIN LATERAL (
            SELECT FROM notifications WHERE id = given.id AND id BETWEEN :first AND :last LIMIT 1
        ) AS existing
    ), newest AS (
        INSERT INTO subjects (subject, revision)
        SELECT subject, count(*) FROM written GROUP BY subject ORDER BY subject COLLATE "C"
        ON CONFLICT (subject) DO UPDATE SET revision = subjects.revision + excluded.revision
        RETURNING subject, revision
    ), numbered AS MATERIALIZED (
        SELECT id, revision - of_all + nth AS revision FROM written JOIN newest USING (subject)
    )
    UPDATE notifications SET revision = numbered.revision FROM numbered WHERE notifications.id = numbered.id
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
    _accepted[transaction].append((subject, message_id))


def _enter_all(connection: Connection) -> None:
    """Just before the COMMIT; in one order for all, so that no two transactions wait for each other."""
    transaction = connection.get_transaction()
    accepted = _accepted.pop(transaction, []) if transaction else []
    accepted.sort(key=itemgetter(0))
    for first in range(0, len(accepted), AT_ONCE):
        part = accepted[first : first + AT_ONCE]
        ids = [message_id for _, message_id in part]
        given = orjson.dumps([{"subject": subject, "id": message_id} for subject, message_id in part]).decode()
        connection.execute(_ENTER, {"accepted": given, "first": min(ids), "last": max(ids)})


_TAKE = """
    INSERT INTO subjects (subject, revision, holder_id, held_until)
    VALUES (%(subject)s, %(revision)s, %(id)s, clock_timestamp() + make_interval(secs => %(lease)s))
    ON CONFLICT (subject) DO UPDATE SET holder_id = excluded.holder_id, held_until = excluded.held_until
    WHERE subjects.holder_id IS NULL OR subjects.holder_id = excluded.holder_id
       OR subjects.held_until <= clock_timestamp()
    RETURNING revision
"""


def take_turn(connection: Executes, subject: str, *, revision: int, message_id: UUID, lease: float) -> Turn:
    """Hold the subject for `lease` seconds, as long as the message itself is held."""
    values = {"subject": subject, "revision": revision, "id": message_id, "lease": lease}
    newest = connection.execute(_TAKE, values).fetchone()
    if newest is None:
        return Turn.TAKEN
    return Turn.OURS if newest == (revision,) else Turn.SUPERSEDED


def end_turn(connection: Executes, subject: str, message_id: UUID) -> None:
    """Let the next message of the subject be sent."""
    end = "UPDATE subjects SET holder_id = NULL WHERE subject = %(subject)s AND holder_id = %(id)s"
    connection.execute(end, {"subject": subject, "id": message_id})
