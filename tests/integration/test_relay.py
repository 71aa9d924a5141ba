"""The relay publishes what is due, heals what the broker lost, and takes no backlog for a loss."""

from __future__ import annotations

import pytest

from app.core.broker import broker
from app.core.database import statement, transaction
from app.core.transport import PRIORITY_STEPS, priority_list
from app.messages.kinds import KINDS
from app.notifications import outbox, store, submit
from app.notifications.outcome import Postponed
from app.notifications.relay import Relay
from tests import data
from tests.house import House
from tests.rows import change, to_do

SMS = KINDS["booking_confirmation_sms"]
WAITING = priority_list(SMS.queue, SMS.priority)


def waiting(house: House) -> int:
    return int(house.valkey_client(1).llen(WAITING))


def make_due() -> None:
    """As if the grace had passed."""
    change("UPDATE outbox SET due_at = clock_timestamp(), published_at = published_at - interval '1 minute'")


def test_a_message_written_while_nobody_could_publish_is_published(house: House) -> None:
    with transaction() as connection:
        submit.accept(connection, SMS, data.sms())
    change("UPDATE outbox SET published_at = NULL, due_at = clock_timestamp()")
    assert Relay().publish_due() == 1
    assert waiting(house) == 1
    assert Relay().publish_due() == 0  # its line has moved on


def test_a_message_that_the_broker_lost_is_published_again(house: House) -> None:
    submit.accept_now(SMS, data.sms())
    house.valkey_client(1).flushall()
    assert Relay().publish_due() == 0  # within the grace it may just have been taken
    make_due()
    Relay().publish_due()
    assert waiting(house) == 1


def test_a_backlog_is_not_taken_for_a_loss(house: House) -> None:
    for _ in range(20):
        submit.accept_now(SMS, data.sms())
    change("UPDATE outbox SET due_at = clock_timestamp()")
    Relay().publish_due()
    assert waiting(house) == 20
    assert all(line["attempt"] == 0 for line in to_do())


def test_a_lost_message_is_found_behind_a_backlog_of_younger_ones(house: House) -> None:
    lost = submit.accept_now(SMS, data.sms())
    house.valkey_client(1).flushall()
    change("UPDATE outbox SET published_at = published_at - interval '1 minute'")
    for _ in range(3):
        submit.accept_now(SMS, data.sms())
    change("UPDATE outbox SET due_at = clock_timestamp()")
    Relay().publish_due()
    assert waiting(house) == 4
    assert [line["id"] for line in to_do() if line["attempt"] == 1] == [lost]


def test_two_relays_share_the_work(house: House) -> None:
    for _ in range(4):
        submit.accept_now(SMS, data.sms())
    house.valkey_client(1).flushall()
    make_due()
    with transaction() as connection:
        taken = outbox.due(connection, 2)  # another relay is at these
        assert Relay().publish_due() == 2
        assert len(taken) == 2


def test_a_retry_is_published_when_its_time_has_come(house: House) -> None:
    message_id = submit.accept_now(SMS, data.sms())
    house.valkey_client(1).flushall()
    with statement() as connection:
        held = store.claim(connection, message_id)
    assert held
    with statement() as connection:
        store.postpone(connection, held, Postponed(60, "busy"))
    assert Relay().publish_due() == 0
    change("UPDATE outbox SET due_at = clock_timestamp()")
    assert Relay().publish_due() == 1


def test_the_oldest_waiting_message_is_found_in_every_priority(house: House) -> None:
    wanted = [(SMS.queue, step) for step in PRIORITY_STEPS]
    assert set(broker.oldest_waiting(wanted).values()) == {None}
    submit.accept_now(SMS, data.sms())
    [line] = to_do()
    oldest = broker.oldest_waiting(wanted)[SMS.queue, SMS.priority]
    assert oldest == pytest.approx(line["published_at"].timestamp(), abs=0.01)
    house.valkey_client(1).rpush(WAITING, b"not one of ours")
    assert broker.oldest_waiting(wanted)[SMS.queue, SMS.priority] == 0.0
