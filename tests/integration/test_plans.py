"""How PostgreSQL answers the maintenance's statements on filled tables: by the right index, in the right days."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from app.bookings import payments
from app.core.database import engine, transaction
from app.maintenance import database_stats, locations, partitions, reservations, retention, runs, small_tables
from app.maintenance.connections import long_transaction
from app.maintenance.partitions import NOTIFICATIONS, TRIP_LOCATIONS
from app.notifications import overview, replay
from app.notifications.replay import Choice
from tests import data, past
from tests.house import House
from tests.past import day_ago, messages, noon, positions
from tests.plans import Plans, plans
from tests.rows import change

WEEK, MONTH = timedelta(days=7), timedelta(days=30)


@pytest.fixture(scope="module", autouse=True)
def _filled(whole_house: House) -> Iterator[None]:
    """Some tens of thousands of rows in every table that grows."""
    whole_house.clean()
    past.forget()
    _travel()
    for days in (9, 8, 3, 1, 0):
        positions(noon(days) - timedelta(hours=11), 20_000)
    positions(datetime.now(UTC) - WEEK - timedelta(minutes=1), 20_000)
    change("UPDATE trip_locations SET trip_id = id % 400")
    for days in (40, 31, 3, 1):
        messages(noon(days), 3_000)
    messages(datetime.now(UTC) - MONTH - timedelta(seconds=30), 3_000)
    messages(noon(2), 3_000, status="queued", waiting=True, subject="somebody's trip")
    _small()
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    yield
    whole_house.clean()
    past.forget()


def _travel() -> None:
    """20,000 bookings of two seats on as many trips, a hundredth of them holds that are over."""
    data.make_trip(seats=200)
    change(
        "INSERT INTO trips (route_id, bus_id, departure_time, price, currency, total_seats, available_seats)"
        " SELECT route_id, bus_id, departure_time, price, currency, 200, 100 FROM trips, generate_series(2, 20000)"
    )
    change("INSERT INTO users (name, email) SELECT 'Ada', n || '@example.com' FROM generate_series(1, 5000) AS n")
    change("INSERT INTO device_tokens (user_id, token, platform) SELECT id, 'phone-' || id, 'android' FROM users")
    change(
        "INSERT INTO bookings (reference, user_id, trip_id, status, total_amount, currency, expires_at)"
        " SELECT 'PF' || translate(CAST(n + 200000 AS text), '01', 'AB'), n % 5000 + 1, n,"
        " CASE WHEN n % 100 = 0 THEN 'pending' ELSE 'confirmed' END, 1, 'NGN',"
        " clock_timestamp() - interval '1 minute' FROM generate_series(1, 20000) AS n"
    )
    change(
        "INSERT INTO booking_seats (booking_id, seat_no, trip_id)"
        " SELECT id, id || seat, trip_id FROM bookings, unnest(ARRAY['a', 'b']) AS seat"
    )
    change(
        "INSERT INTO payments (transaction_id, booking_id, amount, currency, method, status) SELECT 'T' || id, id,"
        " 1, 'NGN', 'card', CASE WHEN id % 100 = 1 THEN 'needs_refund' ELSE 'completed' END FROM bookings"
    )


def _small() -> None:
    change(
        "INSERT INTO otp_sends (notification_id, number, created_at) SELECT gen_random_uuid(), 'n' || n,"
        " clock_timestamp() - n * interval '1 minute' FROM generate_series(1, 5000) AS n"
    )
    change(
        "INSERT INTO campaigns (id, state, total_users, total_tokens, created_at)"
        " SELECT gen_random_uuid(), 'running', 1, 1, clock_timestamp() - n * interval '1 hour'"
        " FROM generate_series(1, 5000) AS n"
    )
    change(
        "INSERT INTO subjects (subject, revision, created_at) SELECT 'trip ' || n, 1, clock_timestamp()"
        " - n * interval '1 hour' FROM generate_series(1, 20000) AS n"
    )
    change(
        "INSERT INTO idempotency_keys (key, notification_id, created_at) SELECT 'key ' || n, gen_random_uuid(),"
        " clock_timestamp() - n * interval '1 hour' FROM generate_series(1, 20000) AS n"
    )
    change(
        "INSERT INTO cleanup_runs (task, due_at, started_at, next_due_at) SELECT task, at, at, at FROM"
        " unnest(CAST(:tasks AS text[])) AS task, (SELECT clock_timestamp() - n * interval '5 minutes' AS at"
        " FROM generate_series(1, 5000) AS n)",
        tasks=runs.scheduled(),
    )


@pytest.fixture
def looked() -> Callable[[Callable[[Connection], Any]], Plans]:
    """The plans of what a function does, which is undone."""

    def look(work: Callable[[Connection], Any]) -> Plans:
        with engine().connect() as connection, plans() as found:
            work(connection)
            connection.rollback()
        return found

    return look


Look = Callable[[Callable[[Connection], Any]], Plans]


def test_expired_holds(looked: Look) -> None:
    found = looked(reservations.release_expired)
    assert found.indexes() >= {"ix_bookings_pending_expiry", "pk_booking_seats", "ix_device_tokens_user_id"}
    assert found.read_whole() == set()
    assert looked(reservations.count_expired).indexes() == {"ix_bookings_pending_expiry"}


def test_expired_holds_when_all_are_due(looked: Look) -> None:
    def release(connection: Connection) -> None:
        connection.execute(text("UPDATE bookings SET status = 'pending'"))
        connection.execute(text("ANALYZE bookings"))
        reservations.release_expired(connection)

    assert looked(release).read_whole() <= {"bookings"}  # the update of all


def test_old_positions(looked: Look) -> None:
    whole = {TRIP_LOCATIONS.partition(day_ago(days)) for days in (9, 8)}
    before = datetime.now(UTC) - WEEK
    found = looked(lambda connection: locations._delete_oldest(connection, before))
    assert found.tables(TRIP_LOCATIONS) <= {*whole, TRIP_LOCATIONS.partition(before.date())}
    assert {index[-5:] for index in found.indexes()} == {"_pkey"}
    assert found.read_whole() == set()
    few = noon(9) - timedelta(hours=11) + timedelta(microseconds=100)
    found = looked(lambda connection: locations._count(connection, few, at_most=locations.HALF_DAY_MOST))
    assert (found.tables(TRIP_LOCATIONS), found.read_whole()) == ({TRIP_LOCATIONS.partition(day_ago(9))}, set())


def test_a_day_is_counted_in_itself(looked: Look) -> None:
    day = TRIP_LOCATIONS.partition(day_ago(9))
    assert looked(lambda connection: locations._rows_of(connection, day)).tables(TRIP_LOCATIONS) == {day}
    day = NOTIFICATIONS.partition(day_ago(40))
    assert looked(lambda connection: retention._summarise_all(connection, day)).tables(NOTIFICATIONS) == {day}


def test_old_messages(looked: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 50)  # as small a part of a day as 5,000 are of a busy one
    old = {NOTIFICATIONS.partition(day) for day in (day_ago(40), day_ago(31), day_ago(30))}
    found = looked(lambda connection: retention._delete(connection, datetime.now(UTC) - MONTH))
    assert found.tables(NOTIFICATIONS) <= old
    assert found.read_whole() == set()
    found = looked(lambda connection: retention._has_unfinished(connection, day_ago(40)))
    assert (found.indexes(), found.read_whole()) == ({"pk_outbox"}, set())
    assert looked(lambda c: database_stats.unfinished_before(c, noon(31))).indexes() == {"pk_outbox"}


@pytest.mark.parametrize("small", small_tables.SMALL, ids=lambda small: small.table)
def test_small_tables_are_read_by_ranges_of_pages(
    small: small_tables.Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_tables, "PAGES", 2)
    with plans() as found:
        small_tables._sweep_pages(small, datetime.now(UTC) - MONTH, 4)
    assert ("Tid Range Scan", small.table, "") in found.read
    assert found.read_whole() <= {"outbox"}  # what is still to do, and only that


def test_runs_and_the_report_s_own_looks(looked: Look) -> None:
    assert looked(lambda c: runs.last(c, runs.scheduled())).indexes() == {"ix_cleanup_runs_task_started_at"}
    assert looked(database_stats.holds).indexes() == {"ix_bookings_pending_expiry"}
    for look in (database_stats.tables, database_stats.unused_indexes, database_stats.clients):
        assert not looked(look).read_whole() & {"bookings", "booking_seats", "outbox", "trips"}
    looks = [looked(lambda c: database_stats.statuses(c, table)) for table in ("bookings", "notifications")]  # noqa: B023
    assert not any(found.read_whole() & {"bookings", "notifications"} for found in looks)
    assert looked(overview.backlog).read_whole() <= {"outbox"}


def test_what_dry_runs_count_and_the_report_asks(looked: Look) -> None:
    before = datetime.now(UTC) - WEEK
    found = looked(lambda connection: locations._count(connection, before))
    assert found.tables(TRIP_LOCATIONS) == {TRIP_LOCATIONS.partition(day_ago(days)) for days in (9, 8, 7)}
    with plans() as counted:
        retention.count_old(MONTH)
    assert counted.tables(NOTIFICATIONS) == {NOTIFICATIONS.partition(day_ago(days)) for days in (40, 31, 30)}
    for look in (partitions.missing, lambda c: partitions.days(c, NOTIFICATIONS, attached=True)):
        assert looked(look).read_whole() <= {"pg_class"}  # the catalog, which is as big as there are tables
    late = dict.fromkeys((NOTIFICATIONS.table, TRIP_LOCATIONS.table), before)
    assert looked(lambda c: database_stats.partitions(c, late)).read_whole() <= {"pg_class"}
    assert looked(lambda c: runs.overdue(c, before)).read_whole() <= {"cleanup_runs"}


def test_a_replay_reads_the_days_that_it_is_asked_for(looked: Look) -> None:
    days = {NOTIFICATIONS.partition(day_ago(days)) for days in (4, 3, 2)}
    choice = Choice(since=noon(3) - timedelta(hours=11), until=noon(3) + timedelta(hours=13))
    for work in (replay.find, replay.replay):
        assert looked(lambda c: work(c, choice)).tables(NOTIFICATIONS) <= days  # noqa: B023
        newest = looked(lambda c: work(c, Choice(since=noon(0)))).tables(NOTIFICATIONS)  # noqa: B023
        assert not newest & {NOTIFICATIONS.partition(day_ago(days)) for days in (40, 31, 30, 3, 2)}
    assert looked(lambda c: replay.by_day(c, Choice())).read_whole() == set()


def test_what_a_run_writes_down(looked: Look) -> None:
    def run(connection: Connection) -> None:
        runs._end(connection, runs._begin(connection, "cleanup_temporary_files"), 0)

    found = looked(run)
    assert found.indexes() == {"ix_cleanup_runs_task_started_at", "pk_cleanup_runs"}
    assert found.read_whole() == set()


def test_what_a_late_payment_asks(looked: Look) -> None:
    def settle(connection: Connection) -> None:
        with Session(connection) as session:
            [reference] = session.execute(text("SELECT reference FROM bookings LIMIT 1 OFFSET 9999")).one()
            now = datetime.now(UTC)
            payments.settle(session, reference=reference, transaction_id="GW", method="card", authorized_at=now)
            payments.to_refund(session)

    found = looked(settle)
    assert found.indexes() >= {"uq_bookings_reference", "uq_payments_transaction_id"}
    assert ("Index Scan", "payments", "") in found.read  # of those to be refunded, all that there are
    assert found.read_whole() <= {"bookings"}  # the test's own look for one of them


def test_hot_tables_are_vacuumed_early() -> None:
    hot = {"outbox", "subjects", "trips", "bookings", "booking_seats", NOTIFICATIONS.partition(day_ago(0))}
    with transaction() as connection:
        found = connection.exec_driver_sql(
            "SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL AND relkind = 'r'"
        )
        options = {name: " ".join(chosen) for name, chosen in found}
    assert {name for name in hot if "autovacuum_vacuum_scale_factor" in options.get(name, "")} == hot
    assert "autovacuum_vacuum_insert_scale_factor" in options[TRIP_LOCATIONS.partition(day_ago(0))]


def test_a_long_read_leaves_the_other_cores_to_those_who_book() -> None:
    day = TRIP_LOCATIONS.partition(day_ago(9))
    with long_transaction() as connection:
        for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
            connection.exec_driver_sql(f"SET LOCAL {setting} = 0")  # else only a big table is read so
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN SELECT count(*) FROM {day}").scalars())
    assert "Parallel" not in plan
