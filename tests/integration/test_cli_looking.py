"""What a script reads of `pafar stats` and `pafar tail`, and what both say when something is away."""

from __future__ import annotations

import json

import pytest

from app.tasks.sms_tasks import send_booking_confirmation_sms
from sandbox.standins.script import answer
from tests import data
from tests.house import House, wait_until
from tests.integration.test_cli_campaigns import campaign_of, tail
from tests.integration.test_commands import pafar

SOON = 30.0
AWAY = "redis://127.0.0.1:1/0"


def test_stats_counts_messages_runs_and_what_waits(house: House) -> None:
    house.sms.script.append(answer(400, {"error": {"code": "invalid_number", "field": "to"}}))
    with house.worker():
        refused, sent = (send_booking_confirmation_sms.delay(**data.sms()) for _ in range(2))
        wait_until(lambda: refused.ready() and sent.ready(), SOON)

        def counted() -> bool:
            tasks = json.loads(pafar(house, "stats", "--json").stdout)["tasks"]["task_types"]
            return bool(tasks.get(send_booking_confirmation_sms.name, {}).get("failed"))

        wait_until(counted, SOON)
    told = pafar(house, "stats")
    assert told.returncode == 0
    for said in ("sms_tasks.send_booking_confirmation_sms", "run now", "In the broker: 0"):
        assert said in told.stdout


@pytest.mark.parametrize(
    ("variable", "value", "parts", "said"),
    [
        ("REDIS_URL", AWAY, {"tasks"}, "REDIS_URL"),
        ("CELERY_BROKER_URL", AWAY, {"queues"}, "broker"),
        ("DATABASE_URL", "postgresql://postgres@127.0.0.1:1/x", {"messages", "outbox"}, "database"),
    ],
)
def test_stats_says_which_part_can_not_be_read(
    house: House, variable: str, value: str, parts: set[str], said: str
) -> None:
    told = pafar(house, "stats", "--json", **{variable: value})
    assert told.returncode == 1
    assert {part for part, found in json.loads(told.stdout).items() if found is None} == parts
    assert said in told.stderr
    assert "Traceback" not in told.stderr


def test_a_script_follows_messages_by_an_object_a_line(house: House) -> None:
    ids = []
    with house.worker(), tail(house, "--json") as (_, printed):

        def told() -> list[str]:
            ids.append(send_booking_confirmation_sms.delay(**data.sms()).id)  # until it has begun to look
            return printed.read_text().splitlines()

        first = json.loads(wait_until(told, SOON)[0])
    assert first["id"] in ids
    assert (first["kind"], first["status"], first["reason"]) == ("booking_confirmation_sms", "sent", None)
    assert set(first) == {"id", "kind", "status", "reason", "finished_at"}


def test_a_script_follows_a_campaign_to_its_end(house: House) -> None:
    campaign = campaign_of(600)
    with house.worker(), tail(house, str(campaign), "--json") as (process, printed):
        assert process.wait(SOON) == 0
    states = [json.loads(line) for line in printed.read_text().splitlines()]
    assert [state["finished"] for state in states].count(True) == 1
    assert (states[-1]["finished"], states[-1]["success_count"]) == (True, 1200)
