"""`pafar cleanup …` and `pafar report`: by hand what beat starts, or only a look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console
from rich.status import Status
from typer.testing import CliRunner

from app.cli import app, cleanup
from app.core.redis import client
from app.core.uuid7 import first_id
from app.maintenance import small_tables
from app.maintenance.partitions import TRIP_LOCATIONS
from app.tasks.cleanup_tasks import cleanup_old_notifications
from tests import past
from tests.house import House
from tests.past import day_ago, messages, noon, number, positions, there_are
from tests.rows import change


@pytest.fixture(autouse=True)
def _fresh(house: House) -> Iterator[None]:
    past.forget()
    yield
    past.forget()


def pafar(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return " ".join(done.output.split())


def test_a_dry_run_tells_and_leaves() -> None:
    positions(noon(9), 5)
    messages(noon(40), 3)
    change(f"DROP TABLE {TRIP_LOCATIONS.partition(day_ago(-7))}")
    assert pafar("cleanup", "locations", "--dry-run").startswith("5 positions recorded before ")
    assert pafar("cleanup", "notifications", "--dry-run").startswith("3 messages accepted before ")
    assert pafar("cleanup", "partitions", "--dry-run") == "1 day partitions would be made; nothing was."
    for what in ("reservations", "files"):
        assert pafar("cleanup", what, "--dry-run").endswith("; nothing was.")
    assert "start beat" in pafar("cleanup", "report", "--dry-run")
    left = number("SELECT count(*) FROM trip_locations") + number("SELECT count(*) FROM notifications")
    assert (left, number("SELECT count(*) FROM cleanup_runs")) == (8, 0)
    assert not there_are(TRIP_LOCATIONS.partition(day_ago(-7)))


def test_a_dry_run_of_messages_counts_all_that_the_task_deletes() -> None:
    change("TRUNCATE subjects, idempotency_keys, campaigns, otp_sends, device_tokens")
    [waiting] = messages(noon(40), 1, status="queued", waiting=True, subject="spoken of")
    messages(noon(40), 2)
    for subject in ("spoken of", "forgotten", "forgotten too"):
        change("INSERT INTO subjects (subject, revision, created_at) VALUES (:s, 1, :at)", s=subject, at=noon(40))
    for name, message in (("theirs", waiting), ("old", first_id(noon(40))), ("young", first_id(noon(3)))):
        change(
            "INSERT INTO idempotency_keys (key, notification_id, created_at) VALUES (:name, :message, :at)",
            name=name,
            message=message,
            at=noon(3 if name == "young" else 40),
        )
    change(
        "INSERT INTO cleanup_runs (task, due_at, started_at, next_due_at) SELECT 'a', at, at, at"
        " FROM CAST(:at AS timestamptz) AS at",
        at=noon(100),
    )
    told = pafar("cleanup", "notifications", "--dry-run")
    small = small_tables.count_old(timedelta(days=30))
    assert {table: count for table, count in small.items() if count} == {
        "idempotency_keys": 1,
        "subjects": 2,
        "cleanup_runs": 1,
    }
    assert told.startswith("2 messages accepted before ")
    assert all(f"{count} of {table}" in told for table, count in small.items())
    assert cleanup_old_notifications()["small_tables"] == small


def test_a_dry_run_of_sessions_names_those_it_can_t_judge() -> None:
    client().flushdb()
    old = '{"last_activity": "2020-01-01T00:00:00Z"}'
    client().mset({"session:1": old, "session:2": "no JSON", "session:3": "{}", "session:4": "[]"})
    assert pafar("cleanup", "sessions", "--dry-run") == (
        "1 of 4 sessions would be deleted; 1 would stay: not JSON; 2 would stay: no last_activity; nothing was."
    )
    client().flushdb()


def test_by_hand_is_recorded_as_by_beat() -> None:
    positions(noon(9), 5)
    messages(noon(40), 3)
    assert pafar("cleanup", "locations") == "5 old positions deleted."
    assert pafar("cleanup", "notifications") == "3 old messages deleted."
    for what in ("reservations", "sessions", "files", "partitions", "report"):
        pafar("cleanup", what)
    assert number("SELECT count(DISTINCT task) FROM cleanup_runs WHERE finished_at IS NOT NULL") == 7


def test_a_terminal_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    positions(noon(9), 5)
    positions(noon(10), 7)
    terminal = Console(file=StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(cleanup, "console", terminal)
    shown: list[str] = []
    monkeypatch.setattr(Status, "update", lambda _, status: shown.append(status))
    cleanup.app(["locations"], standalone_mode=False)
    assert shown[:2] == ["Working … 7 in 1 batches", "Working … 12 in 2 batches"]


def test_the_report_for_people_and_for_scripts() -> None:
    positions(noon(20))
    advice = "trip_locations holds 1 day past its retention: check beat."
    shown = pafar("report")
    assert advice in shown
    for part in ("cleanup_old_trip_locations", "Holds past their time: 0", "Connections: ", "Redis: "):
        assert part in shown
    assert advice in json.loads(pafar("report", "--json"))["recommendations"]
    assert number("SELECT count(*) FROM cleanup_runs") == 0  # a look is no run
