"""Readiness tells the truth about the database, soon, and whatever else hangs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from app.api.health import LIMIT
from sandbox.servers.postgres import PostgresServer
from tests import data
from tests.house import House, wait_until
from tests.operators import KEY, Operator, frozen
from tests.web import Answer, ask

SOON = 30.0
HANGING = 300
BEARER = {"Authorization": f"Bearer {KEY}"}
#: A busy machine may add this to what has a limit of its own; without the limit it would be for good.
SLACK = 20.0


@pytest.fixture(scope="module")
def url(whole_house: House) -> Iterator[str]:
    with whole_house.api(API_KEY=KEY) as address:
        yield address


def ready(url: str) -> Answer:
    return ask(f"{url}/health/ready")


def is_ready(url: str) -> bool:
    return ready(url).status == 200


def administer(server: PostgresServer, *statements: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_a_frozen_database_is_told_within_the_limit_while_requests_hang(
    house: House, postgres: PostgresServer, url: str
) -> None:
    assert is_ready(url)
    new = {"kind": "booking_confirmation_sms", "arguments": data.sms()}
    with ThreadPoolExecutor(HANGING) as callers:
        with frozen(postgres.pid):
            # Far more than the server has threads: who waited for one would come after nearly all of them.
            hanging = [callers.submit(ask, f"{url}/api/v1/notifications", new, **BEARER) for _ in range(HANGING)]
            wait_until(lambda: any(request.done() for request in hanging), SOON)
            metrics, page = ask(f"{url}/metrics", **BEARER), Operator(url).get("/")
            assert sum(request.done() for request in hanging) < HANGING / 2
            began = time.monotonic()
            answers = [ready(url) for _ in range(3)]
            took = time.monotonic() - began
            assert ask(f"{url}/health/live").status == 204
        assert (metrics.status, page.status) == (200, 200)
        assert "did not answer" in page.text
        assert {request.result(SOON).status for request in hanging} <= {202, 503}
    assert [(answer.status, answer.json["ready"]) for answer in answers] == [(503, False)] * 3
    assert "did not answer" in answers[0].json["reason"]
    assert took < 3 * LIMIT + SLACK
    wait_until(lambda: is_ready(url), SOON)


def test_a_database_that_takes_no_writes_is_not_ready(house: House, postgres: PostgresServer, url: str) -> None:
    administer(postgres, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        wait_until(lambda: not is_ready(url), SOON)
        answer = ready(url)
    finally:
        administer(postgres, "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
    assert answer.json == {"ready": False, "reason": "the database takes no writes now"}
    wait_until(lambda: is_ready(url), SOON)


def test_a_database_without_our_tables_is_not_ready(house: House, postgres: PostgresServer) -> None:
    with house.api(DATABASE_URL=postgres.create_database("without_tables")) as url:
        assert ready(url).json == {"ready": False, "reason": "migrations are missing: run pafar migrate"}


def test_a_broker_that_is_away_leaves_it_ready(house: House, url: str) -> None:
    house.valkey.kill()
    try:
        assert is_ready(url)
    finally:
        house.valkey.restart()


def test_looks_leave_nothing_behind(house: House, postgres: PostgresServer, url: str) -> None:
    def sessions() -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pafar'"
        with psycopg.connect(postgres.url) as connection:
            return int(connection.execute(query.encode()).fetchall()[0][0])

    before = sessions()
    with ThreadPoolExecutor(8) as probers:
        assert all(probers.map(is_ready, [url] * 40))
    wait_until(lambda: sessions() <= before, SOON)
