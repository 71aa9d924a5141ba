"""The operators' pages while things happen: a worker works, and servers are away or hang."""

from __future__ import annotations

import re
import time
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.database import transaction
from app.dashboard import charts, checks, words
from app.messages.kinds import KINDS
from app.monitoring import workers
from app.monitoring.canary import Flight
from app.monitoring.checks import of_canaries
from app.notifications import submit
from sandbox.standins.script import answer
from tests import data
from tests.heartbeats import heartbeat
from tests.house import House, wait_until
from tests.operators import KEY, PAGES, PERSONAL, Operator, frozen
from tests.rows import row

SMS = KINDS["booking_confirmation_sms"]
SOON = 30.0
#: A page's own limit, and what a busy machine may add; without the limit it would be for good.
IN_TIME = 2.0 + 20.0


def status(message_id: UUID) -> Any:
    return (row(message_id) or {})["status"]


@pytest.mark.usefixtures("worker")
def test_the_overview_leads_from_a_failure_to_its_message(grace: Operator, house: House) -> None:
    house.sms.script.append(answer(400, {"error": "number is barred"}))
    message_id = submit.accept_now(SMS, data.sms())
    wait_until(lambda: status(message_id) == "failed", SOON)
    wait_until(lambda: f"/messages/{message_id}" in grace.get("/").text, SOON)
    page = grace.get("/").text
    assert f"/messages/{message_id}/replay" in page
    assert grace.press(f"/messages/{message_id}/replay", page="/").status == 303
    wait_until(lambda: status(message_id) == "sent", SOON)
    wait_until(lambda: f"/messages/{message_id}/replay" not in grace.get("/").text, SOON)
    assert not [p for p in PERSONAL if p in grace.get("/").text]
    wait_until(lambda: "Consumes" in grace.get("/workers").text, SOON)


def test_pages_say_when_their_servers_are_away(grace: Operator, house: House) -> None:
    house.valkey.stop()
    try:
        pages = {path: grace.get(path) for path in PAGES}
    finally:
        house.valkey.restart()
    assert {page.status for page in pages.values()} == {200}
    assert "the broker" in pages["/"].text
    assert "Not known now" in pages["/workers"].text
    with house.api(API_KEY=KEY, DATABASE_URL="postgresql://postgres@127.0.0.1:1/pafar") as lonely:
        operator = Operator(lonely)
        pages = {path: operator.get(path) for path in PAGES}
        assert {page.status for page in pages.values()} == {200}
        for path in ("/messages", "/schedule", "/campaigns", "/actions"):
            assert "the database can&#39;t be reached" in pages[path].text
        assert operator.press(f"/messages/{UUID(int=7)}/replay", token=grace.token(_any(grace))).status == 503


def _any(operator: Operator) -> str:
    return f"/messages/{submit.accept_now(SMS, data.sms())}"


@pytest.mark.parametrize("server", ["postgres", "valkey"])
def test_pages_come_in_time_while_a_server_hangs(grace: Operator, house: House, server: str) -> None:
    grace.get("/")  # connections are open
    with frozen(getattr(house, server).pid):
        for path in PAGES * 2:  # more than there are threads
            began = time.monotonic()
            page = grace.get(path)
            assert page.status == 200
            assert time.monotonic() - began < IN_TIME, path
        said = {"postgres": "the database did not answer", "valkey": "did not answer"}[server]
        assert said in grace.get("/messages" if server == "postgres" else "/workers").text
    wait_until(lambda: "did not answer" not in grace.get("/messages").text, SOON)


def test_a_search_that_takes_too_long_ends_and_says_so(grace: Operator) -> None:
    with transaction() as connection:
        connection.execute(text("LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE"))
        page = grace.get("/messages")
    assert page.status == 200
    assert "ask for a shorter time" in page.text
    assert "ask for a shorter time" not in grace.get("/messages").text


def test_the_dearer_a_page_the_more_seldom_it_is_asked_for(grace: Operator) -> None:
    assert grace.get("/campaigns", Accept="text/event-stream").text.count(": no change") > 1
    with transaction() as connection:
        connection.execute(text("LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE"))
        stream = grace.get("/failures", Accept="text/event-stream").text
    assert (stream.count("\nid: "), stream.count(": no change")) == (1, 0)
    assert re.findall(r"^retry: (\d+)$", stream, re.M)[-1] == "8000"


def test_a_worker_that_answers_and_consumes_nothing_is_named(grace: Operator, house: House) -> None:
    client = house.valkey_client(0)
    beat = heartbeat(time.time(), name="celery@hung", loop_seconds=240.0)
    workers.write(client, beat, {})
    try:
        page = grace.get("/workers").text
    finally:
        workers.goodbye(client, beat.name)
    assert "there, but consume nothing: celery@hung" in page
    assert "answers, but consumes nothing</span>" in page
    assert "4\u00a0min before" in page


def test_the_checks_say_what_everything_works_means(grace: Operator) -> None:
    page = grace.get("/").text
    for said in ("policy noeviction", "no limit is set", "beat has never looked", "nothing overdue", "no canary"):
        assert said in page
    flight = Flight(sent_at=time.time() - 12.4, arrived_at=time.time() - 12.4, seconds=0.035)
    [line] = checks.lines({"components": {"canary": of_canaries({"sms": flight})}})
    assert line.healthy
    assert line.words.endswith("the last 12\u00a0s ago at the most, the slowest took 35\u00a0ms")


def test_what_stays_together_is_not_broken_apart() -> None:
    kinds = ("app.tasks.sms_tasks.send_otp_sms", "trip_delay_sms", "bulk_chunk_push")
    assert [words.kind(name) for name in kinds] == ["OTP SMS", "trip delay SMS", "bulk chunk push"]
    spans = [words.span(seconds) for seconds in (0.23, 2.44, 200)]
    assert spans == ["230\u00a0ms", "2.4\u00a0s", "3\u00a0min 20\u00a0s"]
    assert words.percent(1.234) == "1.2\u00a0%"


def test_a_chart_keeps_its_gaps_and_its_scale() -> None:
    line = charts.line([1, None, 4, 2], upper=8)
    assert (line.last, line.most) == (2, 4)
    assert line.path.count("M") == 2
    assert charts.line([None]).path == ""
    assert [charts.top(n) for n in (0, 1, 3, 7, 0.03, 120)] == [1, 1, 5, 10, 0.05, 200]
    [good, bad] = charts.bars([{"good": 3, "bad": 1}, {"good": 0, "bad": 0}], upper=4)
    assert (good.y, good.height, bad.y, bad.height) == (25.0, 75.0, 0.0, 25.0)
    assert charts.bars([{"good": 900, "bad": 1}], upper=1000)[1].height == charts.LEAST  # one is seen
