"""A replay of everything: a day at a time, for as long as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from app.core import database
from app.core.database import transaction
from app.core.uuid7 import first_id
from app.maintenance.partitions import NOTIFICATIONS
from app.notifications.replay import Choice, by_day, find
from app.providers.memory import MemorySms
from tests import past
from tests.integration.test_replay import SMS, failed, pafar
from tests.rows import change, slow_updates


@pytest.fixture
def _tidy() -> Iterator[None]:
    yield
    past.forget()


@pytest.mark.usefixtures("_tidy")
def test_all_is_cut_into_days_that_each_message_is_in_once(gateway: MemorySms) -> None:
    past.partition(NOTIFICATIONS, past.day_ago(3))
    moved = [failed(gateway) for _ in range(3)]
    midnight = past.noon(3) - timedelta(hours=12)
    for message_id, at in zip(moved, (midnight, midnight + timedelta(hours=1), past.noon(3)), strict=True):
        change(
            "UPDATE notifications SET id = :new, created_at = :at WHERE id = :id",
            new=first_id(at),
            at=at,
            id=message_id,
        )
    failed(gateway)
    with transaction() as connection:
        parts = by_day(connection, Choice(kind=SMS.name))
        found = [find(connection, part).replayable for part in parts]
        assert by_day(connection, Choice(until=midnight - timedelta(days=9))) == []
        assert by_day(connection, Choice(ids=moved)) == [Choice(ids=moved)]
    assert len(parts) in (4, 5)  # three days, what is gone of today, and what clocks may differ by
    assert sum(count for part in found for _, _, count in part) == 4
    assert pafar("--all")[1].endswith("4 are sent again.\n")


@pytest.mark.usefixtures("_tidy")
def test_a_row_made_long_after_its_task_was_called_is_found(gateway: MemorySms) -> None:
    """As after an outage of the database, in which the task's id came with its arguments."""
    past.partition(NOTIFICATIONS, past.day_ago(1))
    message_id = failed(gateway)
    called = datetime.now(UTC) - timedelta(hours=10)
    change("UPDATE notifications SET id = :new WHERE id = :id", new=first_id(called), id=message_id)
    lately = Choice(since=datetime.now(UTC) - timedelta(hours=1))
    with transaction() as connection:
        counts = [find(connection, part).replayable for part in [lately, *by_day(connection, Choice())]]
    assert sum(count for found in counts for _, _, count in found) == 2  # once by each


def test_the_command_takes_its_time_and_says_how_far_it_came(
    gateway: MemorySms, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed(gateway)
    monkeypatch.setitem(database.CONNECT_ARGS, "options", "-c timezone=UTC -c statement_timeout=500")
    database.dispose()
    with slow_updates(seconds=1):
        assert pafar("--all") == (0, f"      1  {SMS.name}: Rejected: spam\n1 are sent again.\n")
    monkeypatch.undo()
    database.dispose()
