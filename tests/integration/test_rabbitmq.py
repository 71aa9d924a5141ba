"""RabbitMQ as the broker, by nothing but the URL: quorum queues, a restart at work, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import amqp
import pytest

from app.core.celery_app import QUEUES
from tests import data
from tests.brokers import HOST, RabbitServer
from tests.doctor import findings
from tests.house import House, wait_until
from tests.operators import new_key
from tests.rows import change, row
from tests.senders import accept, accept_each, all_sent, taken
from tests.web import ask

SOON = 60.0


@pytest.fixture(scope="module")
def rabbit(whole_house: House) -> Iterator[RabbitServer]:
    with RabbitServer(whole_house.folder / "rabbitmq") as server:
        yield server


@pytest.fixture
def environment(rabbit: RabbitServer, house: House) -> dict[str, str]:
    with amqp.Connection(f"{HOST}:{rabbit.port}") as connection:
        for queue in QUEUES:
            connection.channel().queue_delete(queue)
    return {"CELERY_BROKER_URL": rabbit.url}


def lengths(rabbit: RabbitServer) -> dict[str, int]:
    with amqp.Connection(f"{HOST}:{rabbit.port}") as connection:
        channel: Any = connection.channel()
        return {queue: channel.queue_declare(queue, passive=True).message_count for queue in QUEUES}


def test_every_message_is_sent_once_over_a_restart(
    house: House, rabbit: RabbitServer, environment: dict[str, str]
) -> None:
    with house.worker(**environment) as worker, house.api(**environment) as url:
        ids = accept_each(url, 5)
        wait_until(all_sent, SOON)
        ids += accept_each(url, 10)
        rabbit.restart()
        ids += accept_each(url, 5)
        wait_until(all_sent, SOON)
        assert worker.poll() is None
    assert taken(house) == dict.fromkeys(ids, 1)
    assert set(lengths(rabbit).values()) == {0}


def test_the_queues_are_replicated_and_no_others_are_made_for_delays(
    house: House, rabbit: RabbitServer, environment: dict[str, str]
) -> None:
    with house.worker(**environment), amqp.Connection(f"{HOST}:{rabbit.port}") as connection:
        for queue in QUEUES:
            with pytest.raises(amqp.PreconditionFailed, match="'quorum'"):
                connection.channel().queue_declare(queue, durable=True, auto_delete=False)
        with pytest.raises(amqp.NotFound):
            connection.channel().queue_declare("celery_delayed_0", passive=True)


def test_a_message_that_the_broker_lost_is_published_again(
    house: House, rabbit: RabbitServer, environment: dict[str, str]
) -> None:
    with house.api(**environment) as url:
        lost = accept(url, "booking_confirmation_sms", data.sms())
    with amqp.Connection(f"{HOST}:{rabbit.port}") as connection:
        assert connection.channel().queue_delete("sms") == 1
    change("UPDATE outbox SET due_at = clock_timestamp(), published_at = published_at - interval '1 minute'")
    with house.worker(**environment):
        wait_until(lambda: (row(lost) or {})["status"] == "sent", SOON)
    assert len(house.ledger.entries("sms")) == 1


def test_what_is_not_known_is_not_made_up(house: House, rabbit: RabbitServer, environment: dict[str, str]) -> None:
    with house.api(**environment) as url:
        accept_each(url, 1)
        accept(url, "booking_confirmation_sms", data.sms())
        report = ask(f"{url}/health/tasks").json
        metrics = ask(f"{url}/metrics", Authorization=f"Bearer {new_key()}").text
    queues = report["components"]["queues"]["queues"]
    assert {name: queue["waiting"] for name, queue in queues.items()} == {
        "email": 1,
        "sms": 2,
        "notifications": 1,
        "cleanup": 0,
    }
    for queue in queues.values():
        assert queue["held"] is queue["delayed"] is queue["oldest_seconds"] is None
    assert report["components"]["broker"]["healthy"] is True
    assert 'queue_length{queue="sms"} 2.0' in metrics
    assert "queue_held{" not in metrics
    assert 'queue_oldest_age_seconds{queue="cleanup"} 0.0' in metrics
    assert 'queue_oldest_age_seconds{queue="sms"}' not in metrics


def test_the_doctor_names_the_server(house: House, rabbit: RabbitServer, environment: dict[str, str]) -> None:
    with house.worker(**environment):
        found = findings(house, **environment)
    assert found["broker"]["words"].startswith("RabbitMQ ")
    assert found["broker"]["state"] != "error"
    assert found["workers"]["state"] == "ok"
    rabbit.stop()
    try:
        assert findings(house, **environment)["broker"]["words"] == "did not answer"
    finally:
        rabbit.restart()
