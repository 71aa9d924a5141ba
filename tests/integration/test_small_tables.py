"""What belonged to messages that are gone goes too: subjects, keys, bulk messages; and dead phones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.types import Uuid

from app.core.database import transaction
from app.core.uuid7 import first_id
from app.maintenance import small_tables
from app.notifications import keys
from tests import data, past
from tests.house import House
from tests.past import messages, noon, number
from tests.rows import change

MONTH = timedelta(days=30)


@pytest.fixture(autouse=True)
def _fresh(house: House) -> Iterator[None]:
    past.forget()
    yield
    past.forget()


def subject(name: str, *, created: datetime, held_until: datetime | None = None) -> None:
    change(
        "INSERT INTO subjects (subject, revision, created_at, held_until)"
        " VALUES (:name, 1, :created, :held_until)",
        name=name,
        created=created,
        held_until=held_until,
    )


def subjects() -> set[str]:
    with transaction() as connection:
        return set(connection.scalars(text("SELECT subject FROM subjects")))


def test_subjects_nobody_speaks_of_any_more_go() -> None:
    subject("old", created=noon(40))
    subject("old, and last spoken of long ago", created=noon(60), held_until=noon(40))
    subject("old, but lately spoken of", created=noon(60), held_until=noon(3))
    subject("old, but somebody waits for a word", created=noon(40))
    subject("young", created=noon(3))
    messages(noon(2), 1, status="queued", waiting=True, subject="old, but somebody waits for a word")
    messages(noon(2), 1, status="sent", subject="old")
    assert small_tables.clean(MONTH)["subjects"] == 2
    assert subjects() == {"old, but lately spoken of", "old, but somebody waits for a word", "young"}


def test_a_subject_in_use_is_passed_over_and_not_waited_for(house: House) -> None:
    subject("old", created=noon(40))
    with psycopg.connect(house.environment["DATABASE_URL"]) as connection:
        connection.execute("UPDATE subjects SET revision = revision + 1")
        assert small_tables.clean(MONTH)["subjects"] == 0
    assert small_tables.clean(MONTH)["subjects"] == 1


def key(name: str, message_id: UUID, created: datetime) -> None:
    with transaction() as connection:
        keys.remember(connection, name, message_id)
    change("UPDATE idempotency_keys SET created_at = :created WHERE key = :name", created=created, name=name)


def test_keys_live_as_long_as_their_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_tables, "PAGES", 1)
    [unfinished] = messages(noon(40), 1, status="queued", waiting=True)
    key("waiting", unfinished, noon(40))
    key("young", first_id(noon(3)), noon(3))
    change(
        "INSERT INTO idempotency_keys (key, notification_id, created_at)"
        " SELECT n::text, gen_random_uuid(), :created FROM generate_series(1, 500) AS n",
        created=noon(40),
    )
    assert small_tables.clean(MONTH)["idempotency_keys"] == 500
    with transaction() as connection:
        left = list(connection.scalars(text("SELECT key FROM idempotency_keys ORDER BY key")))
    assert left == ["waiting", "young"]


def test_bulk_messages_that_are_over_go() -> None:
    [row_to_do] = messages(noon(40), 1, status="queued", waiting=True)
    [chunk_to_do] = messages(noon(2), 1, status="queued", waiting=True)
    [over] = messages(noon(39), 1)
    of_chunk, young = UUID(int=1), UUID(int=2)
    change("UPDATE notifications SET campaign_id = :id WHERE id = :chunk", id=of_chunk, chunk=chunk_to_do)
    for campaign, days in ((row_to_do, 40), (of_chunk, 40), (over, 40), (young, 2)):
        change(
            "INSERT INTO campaigns (id, state, total_users, total_tokens, created_at)"
            " VALUES (:id, 'running', 1, 1, :created)",
            id=campaign,
            created=noon(days),
        )
    assert small_tables.clean(MONTH)["campaigns"] == 1
    with transaction() as connection:
        left = set(connection.scalars(text("SELECT id FROM campaigns").columns(id=Uuid)))
    change("TRUNCATE campaigns")
    assert left == {row_to_do, of_chunk, young}


def test_dead_phones_and_counted_codes_go() -> None:
    data.make_trip()
    change("UPDATE device_tokens SET last_seen_at = clock_timestamp() - interval '271 days'")
    change(
        "INSERT INTO otp_sends (notification_id, number, created_at) VALUES (gen_random_uuid(), 'n', :old)",
        old=noon(2),
    )
    gone = small_tables.clean(MONTH)
    assert (gone["device_tokens"], gone["otp_sends"]) == (1, 1)


def test_lines_about_runs_are_kept_for_three_months() -> None:
    change(
        "INSERT INTO cleanup_runs (task, due_at, started_at, next_due_at)"
        " VALUES ('a', :old, :old, :old), ('b', :young, :young, :young)",
        old=noon(91),
        young=noon(89),
    )
    assert small_tables.clean(MONTH)["cleanup_runs"] == 1
    assert number("SELECT count(*) FROM cleanup_runs WHERE task = 'b'") == 1
