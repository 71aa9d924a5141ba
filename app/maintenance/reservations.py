"""Expired holds: the booking ends, its seats are free again, and the passenger hears of it, all in one commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from typing import Any

import structlog
from sqlalchemy import Connection, Row, text

from app.core.database import transaction
from app.maintenance.batches import Budget, done
from app.messages.base import InvalidPayload
from app.messages.kinds import KINDS
from app.notifications import submit
from app.providers.fcm_message import FID

log = structlog.get_logger(__name__)

#: Holds released in one transaction, a fifth of a second: so long the same seats can't be had, and for a twentieth
#: of one no other seat of their trips (docs/decisions.md).
BATCH = 1000
#: Seconds for one run; less than the 300 until the next.
BUDGET = 240.0
#: Threads that share a backlog: PostgreSQL works for the one while the other writes messages. A third has nothing
#: to win, as both parts take about as long (docs/decisions.md).
THREADS = 2

# The clock as a subquery is read once, so that the index on expires_at serves; bare, each row would read it anew.
_DUE = "status = 'pending' AND expires_at <= (SELECT clock_timestamp())"

# A booking that is being paid is locked, and left to its payment.
_RELEASE = text(f"""
    WITH due AS (
        SELECT id FROM bookings WHERE {_DUE}
        ORDER BY expires_at LIMIT :batch FOR NO KEY UPDATE SKIP LOCKED
    ), expired AS (
        UPDATE bookings SET status = 'expired' WHERE id = ANY(ARRAY(SELECT id FROM due))
        RETURNING id, reference, user_id, trip_id
    ), freed AS (
        UPDATE booking_seats SET live = false WHERE booking_id = ANY(ARRAY(SELECT id FROM expired)) AND live
        RETURNING booking_id
    ), given_back AS (
        SELECT booking_id, count(*) AS seats FROM freed GROUP BY booking_id
    )
    SELECT expired.id AS booking_id, reference AS booking_reference, expired.trip_id, users.locale,
           origin.city AS origin, destination.city AS destination, origin.timezone, coalesce(seats, 0) AS seats,
           array(SELECT CASE kind WHEN 'fid' THEN :fid ELSE '' END || token
                 FROM device_tokens WHERE user_id = users.id) AS tokens
    FROM expired
    LEFT JOIN given_back ON booking_id = expired.id
    JOIN users ON users.id = user_id
    JOIN trips ON trips.id = trip_id
    JOIN routes ON routes.id = route_id
    JOIN terminals origin ON origin.id = origin_id
    JOIN terminals destination ON destination.id = destination_id
""")  # noqa: S608 - made of constants

# Locks are taken as a new hold takes them, seats first, then trips in the order of their ids; NO KEY, as a new
# hold keeps a key lock on its trip from the start.
_LOCK_TRIPS = text("SELECT FROM trips WHERE id = ANY(CAST(:trips AS bigint[])) ORDER BY id FOR NO KEY UPDATE")
# least(): a trip whose count is wrong already must not keep the seats of all others. ANY: or all trips are read.
_GIVE_BACK = text("""
    UPDATE trips SET available_seats = least(available_seats + seats, total_seats)
    FROM unnest(CAST(:trips AS bigint[]), CAST(:seats AS integer[])) AS back (trip_id, seats)
    WHERE id = trip_id AND id = ANY(CAST(:trips AS bigint[]))
""")


def release_all(*, seconds: float = BUDGET) -> list[str]:
    """Release every expired hold, a batch a commit, for `seconds` at most; returns the bookings' references.

    Runs at the same time share the work. Raises DatabaseUnavailable; what was committed by then stays.
    """
    budget = Budget(seconds)
    released = _release_batch()
    return released + _release_backlog(budget) if len(released) == BATCH else released


def _release_backlog(budget: Budget) -> list[str]:
    with ThreadPoolExecutor(THREADS, thread_name_prefix="release") as pool:
        try:
            shares = [pool.submit(copy_context().run, _release_until, budget) for _ in range(THREADS)]
            return [reference for share in as_completed(shares) for reference in share.result()]
        finally:
            budget.end()  # after an error, or Ctrl-C, only the batches under way are waited for


def _release_until(budget: Budget) -> list[str]:
    released: list[str] = []
    while not budget.is_spent():
        batch = _release_batch()
        released += batch
        if len(batch) < BATCH:
            break
    return released


def _release_batch() -> list[str]:
    with transaction() as connection:
        batch = release_expired(connection)
    done(len(batch))
    return batch


def release_expired(connection: Connection, *, batch: int = BATCH) -> list[str]:
    """Release up to `batch` holds whose time is over, the oldest first, in the caller's transaction.

    Returns the bookings' references. A passenger with the app is told by a push in the same transaction.
    """
    expired = connection.execute(_RELEASE, {"batch": batch, "fid": FID}).all()
    _tell(connection, [_hold_ended(row) for row in expired if row.tokens])
    _give_back(connection, expired)  # last, since whoever books on these trips waits from here on
    return [row.booking_reference for row in expired]


def count_expired(connection: Connection) -> int:
    """How many holds a release would find now."""
    return int(connection.execute(text(f"SELECT count(*) FROM bookings WHERE {_DUE}")).scalar_one())  # noqa: S608 - made of constants


def _give_back(connection: Connection, expired: Sequence[Row[Any]]) -> None:
    """Count the freed seats as free.

    Two statements: one that locked trips and wrote them would come twice to a trip as it was when the statement
    began, and could wait in a circle with another of its kind. The second sees the trip that the first locked.
    """
    seats = Counter[int]()
    for row in expired:
        seats[row.trip_id] += row.seats
    if seats:
        connection.execute(_LOCK_TRIPS, {"trips": list(seats)})
        connection.execute(_GIVE_BACK, {"trips": list(seats), "seats": list(seats.values())})


def _hold_ended(row: Row[Any]) -> dict[str, Any]:
    """The arguments of the push; its data are the row's other columns, by their names."""
    data = row._asdict()
    del data["seats"]
    return {"device_tokens": data.pop("tokens"), "booking_data": data}


def _tell(connection: Connection, events: list[Mapping[str, Any]]) -> None:
    kind = KINDS["booking_expired_push"]
    try:
        submit.accept_many(connection, kind, events)
    except InvalidPayload:
        # One passenger's odd data must not hold the seats of all the others; nothing is written yet.
        good = [event for event in events if _can_be_told(event)]
        log.warning("passengers can't be told that their hold ended", count=len(events) - len(good))
        submit.accept_many(connection, kind, good)


def _can_be_told(event: Mapping[str, Any]) -> bool:
    try:
        submit.check(KINDS["booking_expired_push"], event)
    except InvalidPayload:
        return False
    return True
