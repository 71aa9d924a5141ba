"""One request followed by its id: in the log of the API, of the worker, and to the provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.broker import broker
from app.tasks.cleanup_tasks import prepare_partitions
from app.tasks.sms_tasks import send_booking_confirmation_sms
from sandbox.standins.script import answer
from tests import data
from tests.house import House, wait_until
from tests.rows import change, row
from tests.web import Answer, ask

SOON = 30.0
REQUEST = "a-callers-own-id_1"


@pytest.fixture
def api(house: House) -> Iterator[str]:
    with house.api(LOG_FORMAT="json") as url:
        yield url


def send(api: str, request_id: str | None = REQUEST) -> Answer:
    given = {"X_Request_ID": request_id} if request_id else {}
    body = {"kind": "booking_confirmation_sms", "arguments": data.sms()}
    return ask(f"{api}/api/v1/notifications", body, **given)


def newest_log(house: House, command: str) -> Path:
    return max(house.folder.glob(f"{command}-*.log"), key=lambda log: log.stat().st_mtime_ns)


def lines(log: Path) -> list[dict[str, Any]]:
    """Every line of the log that is an object; a worker's banner is none."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def status(message_id: str) -> str:
    return str((row(message_id) or {})["status"])


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_one_id_leads_from_the_request_to_the_provider(house: House, api: str, pool: str) -> None:
    with house.worker("-P", pool, "-c", "2", LOG_FORMAT="json"):
        accepted = send(api)
        assert accepted.headers["x-request-id"] == REQUEST
        message_id = accepted.json["id"]
        wait_until(lambda: status(message_id) == "sent", SOON)
        worker_log = newest_log(house, "celery")
        wait_until(lambda: attempts(worker_log, message_id), SOON)
    in_api = [line for line in lines(newest_log(house, "uvicorn")) if line.get("request_id") == REQUEST]
    assert [line["event"] for line in in_api] == ["accepted", "request"]
    assert in_api[0]["message_ids"] == [message_id]
    assert (in_api[1]["method"], in_api[1]["path"], in_api[1]["status"]) == ("POST", "/api/v1/notifications", 202)
    in_worker = [line for line in lines(worker_log) if line.get("request_id") == REQUEST]
    assert {line["task_id"] for line in in_worker} == {message_id}
    [attempt] = [line for line in in_worker if line["event"] == "attempt"]
    assert (attempt["message_id"], attempt["kind"], attempt["attempt"], attempt["outcome"]) == (
        message_id,
        "booking_confirmation_sms",
        1,
        "Sent",
    )
    assert [entry["reference"] for entry in house.ledger.entries("sms")] == [message_id]


def test_what_the_relay_publishes_is_found_by_the_message_id(house: House, api: str) -> None:
    house.sms.script.append(answer(503, b""))  # so that the relay publishes it again
    with house.worker(LOG_FORMAT="json"):
        message_id = send(api).json["id"]
        wait_until(lambda: status(message_id) == "sent", SOON)
        worker_log = newest_log(house, "celery")
        wait_until(lambda: len(attempts(worker_log, message_id)) == 2, SOON)
        prepare_partitions.delay()
        wait_until(lambda: told_by_celery(worker_log, prepare_partitions.name), SOON)
    assert [line["attempt"] for line in attempts(worker_log, message_id)] == [1, 2]
    assert not told_by_celery(worker_log, "received")
    told = told_by_celery(worker_log, send_booking_confirmation_sms.name)
    assert [" retry: " in event for event in told] == [True]  # that it then succeeded, `attempt` has told
    [accepted] = [
        line for line in lines(newest_log(house, "uvicorn")) if message_id in line.get("message_ids", [])
    ]
    assert accepted["request_id"] == REQUEST


def attempts(log: Path, message_id: str) -> list[dict[str, Any]]:
    return [line for line in lines(log) if line["event"] == "attempt" and line["message_id"] == message_id]


def told_by_celery(log: Path, what: str) -> list[str]:
    return [line["event"] for line in lines(log) if line["event"].startswith("Task ") and what in line["event"]]


@pytest.mark.parametrize("given", [None, "short", "2348031234567", "two words", "x" * 41, "ada@example.com"])
def test_an_id_that_can_not_serve_is_replaced(api: str, given: str | None) -> None:
    answered = ask(f"{api}/health/live", **({"X_Request_ID": given} if given else {}))
    made = answered.headers["x-request-id"]
    assert made != given
    assert len(made) == 36


def test_errors_carry_the_id_and_logs_no_query(house: House, api: str) -> None:
    refused = ask(f"{api}/api/v1/notifications?booking_reference={'x' * 41}", X_Request_ID=REQUEST)
    assert (refused.status, refused.headers["x-request-id"]) == (422, REQUEST)
    log = newest_log(house, "uvicorn")
    wait_until(lambda: "422" in log.read_text(), SOON)
    assert "x" * 41 not in log.read_text()


def test_a_fault_of_ours_is_answered_and_logged_with_the_id(house: House, api: str) -> None:
    change("ALTER TABLE notifications RENAME TO notifications_gone")
    try:
        broken = ask(f"{api}/api/v1/notifications", X_Request_ID=REQUEST)
    finally:
        change("ALTER TABLE notifications_gone RENAME TO notifications")
    assert (broken.status, broken.headers["x-request-id"]) == (500, REQUEST)
    log = newest_log(house, "uvicorn")
    wait_until(lambda: "request failed" in log.read_text(), SOON)
    [said] = [line for line in lines(log) if line["event"] == "request failed"]
    assert said["request_id"] == REQUEST
    assert "Traceback" in said["exception"]


def test_no_personal_data_in_either_log(house: House, api: str) -> None:
    with house.worker(LOG_FORMAT="json"):
        message_id = send(api).json["id"]
        wait_until(lambda: status(message_id) == "sent", SOON)
    for part in ("+2348031234567", "ada@example.com"):
        assert ask(f"{api}/api/v1/notifications/{part}").status == 422
    api_log = newest_log(house, "uvicorn")
    wait_until(lambda: api_log.read_text().count('"status": 422') == 2, SOON)
    said = newest_log(house, "celery").read_text() + api_log.read_text()
    assert "ada@" not in said
    assert "ada%40" not in said
    assert "8031234567" not in said
    assert "Ada" not in said


def test_a_message_published_outside_a_request_names_none(house: House) -> None:
    broker.breaker.succeeded()
    with house.worker(LOG_FORMAT="json"):
        sent = send_booking_confirmation_sms.delay(**data.sms())
        assert sent.get(timeout=SOON)["success"] is True
        worker_log = newest_log(house, "celery")
        wait_until(lambda: attempts(worker_log, sent.id), SOON)
    [attempt] = attempts(worker_log, sent.id)
    assert "request_id" not in attempt
    assert attempt["task_id"] == sent.id


def test_the_console_form_names_the_same_fields(house: House) -> None:
    with house.api() as url:
        ask(f"{url}/health/live", X_Request_ID=REQUEST)
        log = newest_log(house, "uvicorn")
        wait_until(lambda: "request_id" in log.read_text(), SOON)
    assert REQUEST in log.read_text()
    assert "path=/health/live" in log.read_text()
