"""Old messages go once their counts are kept; unfinished ones never."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.database import transaction
from app.maintenance import retention
from app.maintenance.partitions import NOTIFICATIONS
from app.maintenance.retention import SummaryMismatch
from app.notifications import replay
from app.notifications.replay import Choice
from app.tasks.cleanup_tasks import cleanup_old_notifications
from tests import past
from tests.house import House, wait_until
from tests.past import day_ago, messages, noon, number
from tests.rows import change, rows, to_do

MONTH = timedelta(days=30)
SOON = 30.0


@pytest.fixture(autouse=True)
def _fresh(house: House) -> Iterator[None]:
    past.forget()
    yield
    past.forget()


@pytest.fixture
def _broken_summary() -> Iterator[None]:
    """A summary that takes nothing, and says nothing."""
    change("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    change(
        "CREATE TRIGGER swallow BEFORE INSERT ON notification_summaries FOR EACH ROW EXECUTE FUNCTION swallow()"
    )
    yield
    change("DROP FUNCTION swallow CASCADE")


def summary() -> dict[tuple[str, str, str], int]:
    """{(day, kind, status): count}."""
    with transaction() as connection:
        found = connection.execute(text("SELECT day, kind, status, count FROM notification_summaries"))
        return {(day.isoformat(), kind, status): count for day, kind, status, count in found}


def partition(days: int) -> str:
    return NOTIFICATIONS.partition(day_ago(days))


def status_of(message_id: UUID) -> str | None:
    return next((row["status"] for row in rows() if row["id"] == message_id), None)


def finish(ids: list[UUID]) -> None:
    change("UPDATE notifications SET status = 'sent' WHERE id = ANY(:ids)", ids=ids)
    change("DELETE FROM outbox WHERE id = ANY(:ids)", ids=ids)


def test_whole_days_go_and_their_counts_stay() -> None:
    messages(noon(40), 5, status="sent")
    messages(noon(40), 2, status="failed")
    messages(noon(40), 1, kind="trip_delay_sms", status="skipped")
    messages(noon(31), 4, status="unknown")
    young = messages(noon(3), 3)
    assert retention.count_old(MONTH).count == 12
    assert retention.clean(MONTH).count == 12
    assert [row["id"] for row in rows()] == young
    assert not past.there_are(partition(40))
    assert summary() == {
        (day_ago(40).isoformat(), "otp_sms", "sent"): 5,
        (day_ago(40).isoformat(), "otp_sms", "failed"): 2,
        (day_ago(40).isoformat(), "trip_delay_sms", "skipped"): 1,
        (day_ago(31).isoformat(), "otp_sms", "unknown"): 4,
    }
    assert retention.clean(MONTH).count == 0


def test_unfinished_messages_stay_and_the_others_of_their_day_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    unfinished = messages(noon(40), 2, status="queued", waiting=True)
    unfinished += messages(noon(40), 1, status="failed", waiting=True)  # the to-do list has the last word
    messages(noon(40), 5)
    assert retention.count_old(MONTH).count == 5
    assert retention.clean(MONTH).count == 5
    assert [row["id"] for row in rows()] == unfinished
    assert [line["id"] for line in to_do()] == unfinished
    finish(unfinished)
    assert retention.clean(MONTH).count == 3
    assert not past.there_are(partition(40))
    assert summary() == {(day_ago(40).isoformat(), "otp_sms", "sent"): 8}


def test_of_the_day_that_is_half_past_only_old_messages_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    now = datetime.now(UTC)
    messages(now - MONTH - timedelta(seconds=10), 10)
    young = messages(now - MONTH + timedelta(hours=1), 2)
    assert retention.clean(MONTH).count == 10
    assert [row["id"] for row in rows()] == young
    assert sum(summary().values()) == 10


@pytest.mark.usefixtures("_broken_summary")
def test_no_day_goes_without_its_summary() -> None:
    messages(noon(40), 5)
    with pytest.raises(SummaryMismatch, match="5 messages were to go, but their summary grew by 0"):
        retention.clean(MONTH)
    assert number(f"SELECT count(*) FROM {partition(40)}") == 5
    change("DROP TRIGGER swallow ON notification_summaries")
    assert retention.clean(MONTH).count == 5
    assert sum(summary().values()) == 5


@pytest.mark.usefixtures("_broken_summary")
def test_no_batch_goes_without_its_summary() -> None:
    messages(noon(40), 5)
    messages(noon(40), 1, status="queued", waiting=True)
    with pytest.raises(SummaryMismatch):
        retention.clean(MONTH)
    assert len(rows()) == 6


def test_a_killed_run_s_day_with_an_unfinished_message_is_put_back() -> None:
    ids = messages(noon(40), 1, status="queued", waiting=True)
    change(f"ALTER TABLE notifications DETACH PARTITION {partition(40)}")
    assert rows() == []
    assert retention.clean(MONTH).count == 0
    assert [row["id"] for row in rows()] == ids


def test_a_message_that_is_replayed_at_this_moment_stays(house: House) -> None:
    [failed] = messages(noon(40), 1, status="failed")
    change("UPDATE notifications SET payload = '{\"a\": 1}'")
    with ThreadPoolExecutor(1) as pool:
        with transaction() as connection:
            assert replay.replay(connection, Choice(ids=[failed])) == 1
            cleaning = pool.submit(retention.clean, MONTH)
            wait_until(
                lambda: number(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE query LIKE 'ALTER TABLE%DETACH%' AND wait_event_type = 'Lock'"
                ),
                SOON,
            )
        assert cleaning.result(SOON).count == 0
    assert status_of(failed) == "queued"
    assert [line["id"] for line in to_do()] == [failed]


def test_a_batch_passes_over_a_message_that_is_being_replayed() -> None:
    now = datetime.now(UTC)
    [failed] = messages(now - MONTH - timedelta(seconds=10), 1, status="failed")
    messages(now - MONTH - timedelta(seconds=10), 1)
    change("UPDATE notifications SET payload = '{\"a\": 1}'")
    with transaction() as connection:
        assert replay.replay(connection, Choice(ids=[failed])) == 1
        with transaction() as another:
            assert retention._delete(another, now - MONTH) == 1
    assert status_of(failed) == "queued"


def test_two_cleaners_at_once_count_every_message_once(house: House) -> None:
    messages(noon(40), 50)
    messages(noon(33), 50, status="failed")
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: cleanup_old_notifications(), range(2)))
    assert sum(result["cleaned_count"] for result in results) == 100
    assert sum(summary().values()) == 100
