"""What must hold after every fault. Each function returns the breaches it found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import psycopg

from app.messages.kinds import KINDS
from app.notifications.deliver import TURN_WAIT
from app.notifications.status import FINAL, Status
from app.notifications.store import LEASE
from tests.faults.catalogue import Fault
from tests.faults.ledger import Story

#: How often a message asks for its turn, at most, while a dead worker's lease keeps an older one of its subject.
_TURNS = 2 * round(LEASE / TURN_WAIT)
#: Results of Celery's that say the opposite of the row. A missing or an older one says nothing.
_OPPOSITE = {
    Status.SENT: {"FAILURE", "REVOKED"},
    Status.SKIPPED: {"FAILURE", "REVOKED"},
    Status.FAILED: {"SUCCESS"},
    Status.UNKNOWN: {"SUCCESS"},
}


@dataclass(frozen=True, slots=True)
class Breach:
    """A broken promise: its rule ("I1"), what is wrong, and the message's id if it is about one."""

    rule: str
    text: str
    id: str | None = None


def nothing_lost(stories: Iterable[Story], to_do: Collection[str]) -> list[Breach]:
    """I1: every intended message was accepted, or is final with a reason; nothing is left to do for it."""
    found: list[Breach] = []
    for story in stories:
        if story.row is None:
            found.append(Breach("I1", "the row is gone", story.id))
            continue
        status, reason = Status(story.row["status"]), story.row["reason"]
        if status not in FINAL:
            found.append(Breach("I1", f"stuck as {status}", story.id))
        elif status is Status.SENT and not story.accepted:
            found.append(Breach("I1", "said to be sent, and no provider got it", story.id))
        elif status is not Status.SENT and not reason:
            found.append(Breach("I1", f"{status} without a reason", story.id))
        if status in FINAL and story.id in to_do:
            found.append(Breach("I1", f"{status}, and still on the to-do list", story.id))
    return found


def nothing_twice(stories: Iterable[Story], *, copies: int) -> list[Breach]:
    """I2: one acceptance for each message; one more for each attempt that ended unknown, but `copies` at most."""
    found: list[Breach] = []
    for story in stories:
        unknown = story.row["unknown_attempts"] if story.row else 0
        allowed = min(1 + unknown, copies)
        if story.copies > allowed:
            text = f"accepted {story.copies} times, allowed {allowed} ({unknown} attempts unknown)"
            found.append(Breach("I2", text, story.id))
    return found


def nothing_late(stories: Sequence[Story]) -> list[Breach]:
    """I3: a kind that is never repeated at most once, nothing after its time, no older news after newer."""
    found: list[Breach] = []
    subjects: defaultdict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for story in stories:
        if story.row is None:
            continue
        if not KINDS[story.row["kind"]].resend_unknown and story.copies > 1:
            found.append(Breach("I3", f"never to be repeated, accepted {story.copies} times", story.id))
        end = story.row["valid_until"].timestamp()
        if late := [a.at - end for a in story.accepted if a.at > end]:
            found.append(Breach("I3", f"accepted {max(late):.1f} s after it lost its point", story.id))
        if subject := story.row["subject"]:
            subjects[subject] += [(a.at, story.row["revision"], story.id) for a in story.accepted]
    for told in subjects.values():
        told.sort()
        found += [
            Breach("I3", "sent after a newer one", later_id)
            for (_, earlier, _), (_, later, later_id) in pairwise(told)
            if later < earlier
        ]
    return found


_SEATS = {
    "sold twice": """
        SELECT trip_id || '/' || seat_no FROM booking_seats WHERE live
        GROUP BY trip_id, seat_no HAVING count(*) > 1""",
    "of a paid booking let go": """
        SELECT seats.trip_id || '/' || seat_no FROM booking_seats AS seats
        JOIN bookings ON bookings.id = booking_id
        WHERE status = 'confirmed' AND NOT live""",
    "counted wrong": """
        SELECT trips.id || '/*' FROM trips
        WHERE total_seats - available_seats
              <> (SELECT count(*) FROM booking_seats WHERE live AND trip_id = trips.id)""",
    "of a booking whose payment vanished": """
        SELECT bookings.trip_id || '/*' FROM bookings LEFT JOIN payments ON booking_id = bookings.id
        WHERE bookings.status = 'confirmed' AND payments.id IS NULL""",
}


def seats_right(database_url: str) -> list[Breach]:
    """I4: no seat is sold twice, no paid booking let go, and the counters say what is."""
    with psycopg.connect(database_url) as connection:
        return [
            Breach("I4", f"trip/seat {seat} {what}")
            for what, query in _SEATS.items()
            for (seat,) in connection.execute(query.encode())
        ]


def bounded(stories: Iterable[Story], fault: Fault, *, memory: float, waiting: int) -> list[Breach]:
    """I7: few attempts (so few provider calls), little memory (MiB), and nothing left in the broker."""
    found = [
        Breach("I7", f"{story.row['attempt']} attempts, allowed {fault.attempts} and {_TURNS} turns", story.id)
        for story in stories
        if story.row and story.row["attempt"] > fault.attempts + (_TURNS if story.row["subject"] else 0)
    ]
    if memory > fault.memory:
        found.append(Breach("I7", f"a worker's process took {memory:.0f} MiB, allowed {fault.memory:.0f}"))
    if waiting:
        found.append(Breach("I7", f"{waiting} messages still wait in the broker"))
    return found


def states_agree(stories: Iterable[Story]) -> list[Breach]:
    """Celery's result never says the opposite of the row."""
    return [
        Breach("I1", f"the row says {story.row['status']}, Celery's result {story.result}", story.id)
        for story in stories
        if story.row and story.result in _OPPOSITE.get(Status(story.row["status"]), ())
    ]
