"""The database: does it answer, is it at the newest revision, has it room for tomorrow, is its clock ours?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime

from sqlalchemy import Connection, text

from app.core.database import transaction
from app.core.errors import PafarError
from app.core.migrations import revisions
from app.maintenance import partitions
from app.monitoring.setup.findings import ERROR, OK, WARNING, Finding, clock

#: DETACH PARTITION … CONCURRENTLY came with 14.
OLDEST_VERSION = 14
#: Days with partitions ahead below which an operator should look; workers and beat make a week.
FEW_DAYS = 2

_STATE = text(
    "SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS name,"
    " pg_is_in_recovery() AS standby, extract(epoch FROM clock_timestamp())::float8 AS now"
)


def examine() -> Iterator[Finding]:
    """Every finding; one alone when it does not answer."""
    try:
        with transaction() as connection:
            connection.execute(text("SELECT 1"))  # connecting is no part of the round trip that is timed
            asked = time.time()
            state = connection.execute(_STATE).one()
            answered = time.time()
        current, newest = revisions()
    except PafarError as error:
        yield Finding("database", ERROR, str(error), "start PostgreSQL, and set DATABASE_URL to where it is")
        return
    yield _server(state.version, state.name.split()[0], state.standby)
    yield clock("database", state.now - (asked + answered) / 2, (answered - asked) / 2)
    if current != newest:
        words = f"at revision {current or 'none'} instead of {newest}"
        yield Finding("migrations", ERROR, words, "python -m app.cli migrate")
        return
    yield Finding("migrations", OK, f"at revision {newest}")
    with transaction() as connection:
        yield _partitions(connection)


def _server(version: int, name: str, standby: bool) -> Finding:
    if standby:
        mend = "set DATABASE_URL to the primary"
        return Finding("database", ERROR, f"PostgreSQL {name} answers, but is a standby: it takes no writes", mend)
    if version // 10_000 < OLDEST_VERSION:
        mend = f"upgrade to PostgreSQL {OLDEST_VERSION} or newer"
        return Finding("database", ERROR, f"PostgreSQL {name} can't drop old days without stopping inserts", mend)
    return Finding("database", OK, f"PostgreSQL {name} answers")


def _partitions(connection: Connection) -> Finding:
    today = datetime.now(UTC).date()
    ahead = min(_days_ahead(connection, table, today) for table in partitions.PARTITIONED)
    mend = "celery -A app.core.celery_app call app.tasks.cleanup_tasks.prepare_partitions"
    if ahead < 0:
        return Finding("partitions", ERROR, "today has none: no message can be written", mend)
    state = WARNING if ahead < FEW_DAYS else OK
    return Finding("partitions", state, f"made for {ahead} days ahead", None if state == OK else mend)


def _days_ahead(connection: Connection, table: partitions.Partitioned, today: date) -> int:
    """How many days after today have one, without a gap; -1 if today has none."""
    made = {day.toordinal() for day in partitions.days(connection, table, attached=True)}
    ahead = -1
    while today.toordinal() + ahead + 1 in made:
        ahead += 1
    return ahead
