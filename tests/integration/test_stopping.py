"""A worker that is asked to stop ends within its minute, whatever it is at."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from app.core.celery_app import celery_app
from app.messages.kinds import KINDS
from app.notifications import submit
from app.tasks.cleanup_tasks import cleanup_old_trip_locations
from sandbox.standins.script import slow
from tests import data, past
from tests.house import House, wait_until
from tests.past import day_ago, number
from tests.rows import change

SOON = 30.0
ROWS = 100_000  # twenty batches


@pytest.fixture
def a_long_cleaning(house: House) -> Iterator[None]:
    """Positions that go row by row, a batch in no less than 1.5 s."""
    past.forget()
    change(
        "CREATE TABLE trip_locations_before PARTITION OF trip_locations"
        f" FOR VALUES FROM (MINVALUE) TO ('{day_ago(40)}')"
    )
    change(
        "INSERT INTO trip_locations (recorded_at, trip_id, latitude, longitude)"
        " SELECT now() - interval '50 days' - n * interval '1 s', 7, 6.5, 3.4 FROM generate_series(1, :n) AS n",
        n=ROWS,
    )
    change(
        "CREATE FUNCTION take_a_while() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END'"
    )
    change(
        "CREATE TRIGGER take_a_while AFTER DELETE ON trip_locations"
        " FOR EACH STATEMENT EXECUTE FUNCTION take_a_while()"
    )
    yield
    change("DROP TRIGGER take_a_while ON trip_locations")
    change("DROP FUNCTION take_a_while")
    change("DROP TABLE trip_locations_before")
    past.forget()


def left() -> int:
    return number("SELECT count(*) FROM trip_locations")


@pytest.mark.usefixtures("a_long_cleaning")
@pytest.mark.parametrize("pool", [("-P", "threads", "-c", "2"), ("-P", "prefork", "-c", "1")])
def test_a_cleaning_ends_after_its_batch_and_goes_on_next_time(house: House, pool: tuple[str, ...]) -> None:
    with house.worker(*pool) as worker:
        cleanup_old_trip_locations.delay()
        wait_until(lambda: left() < ROWS, SOON)
        worker.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        assert worker.wait(60) == 0
        assert time.monotonic() - asked < 15
    gone = ROWS - left()
    assert 0 < gone < ROWS
    done = "SELECT cleaned FROM cleanup_runs WHERE finished_at IS NOT NULL AND stopped AND error IS NULL"
    assert number(done) == gone
    change("ALTER TABLE trip_locations DISABLE TRIGGER take_a_while")
    assert cleanup_old_trip_locations()["cleaned_count"] == ROWS - gone
    assert number("SELECT count(*) FROM cleanup_runs WHERE stopped") == 1


def test_an_outcome_waits_less_for_a_database_that_is_away(house: House) -> None:
    house.sms.script.append(slow(3))
    with house.worker("-P", "threads", "-c", "2") as worker:
        submit.accept_now(KINDS["booking_confirmation_sms"], data.sms())
        wait_until(lambda: house.ledger.entries("sms"), SOON)
        house.postgres.stop()
        try:
            worker.send_signal(signal.SIGTERM)
            asked = time.monotonic()
            worker.wait(60)
            assert time.monotonic() - asked < 40
        finally:
            house.postgres.restart()


@contextmanager
def listening() -> Iterator[list[tuple[str, str | None]]]:
    """The kind and the task's id of each event that was told in the block."""
    told: list[tuple[str, str | None]] = []
    handlers = {"*": lambda event: told.append((event["type"], event.get("uuid")))}
    with celery_app.connection_for_read() as connection:
        receiver = celery_app.events.Receiver(connection, handlers=handlers)
        thread = Thread(target=receiver.capture, kwargs={"wakeup": False})
        thread.start()
        yield told
        receiver.should_stop = True
        thread.join()


@pytest.mark.parametrize("pool", [("-P", "threads", "-c", "4"), ("-P", "prefork", "-c", "4")])
def test_flower_is_told_of_all_tasks_also_of_those_that_end_while_the_worker_stops(
    house: House, pool: tuple[str, ...]
) -> None:
    house.sms.script.extend([slow(0.1), slow(2), slow(2), slow(2)])
    with listening() as told, house.worker(*pool) as worker:
        ids = [str(submit.accept_now(KINDS["booking_confirmation_sms"], data.sms())) for _ in range(4)]
        wait_until(lambda: len(house.ledger.entries("sms")) == 4, SOON)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    for kind in ("task-received", "task-started", "task-succeeded"):
        assert sorted(uuid for what, uuid in told if what == kind and uuid in ids) == ids
