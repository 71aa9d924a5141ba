"""Every way to call a sending task: in a session, by itself, with options, from another program, in vain."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery.signals import before_task_publish
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.core.celery_app import celery_app
from app.core.config import get_settings
from app.core.database import dispose, engine, session
from app.core.errors import DatabaseUnavailable
from app.messages.base import InvalidPayload
from app.tasks.email_tasks import send_booking_confirmation_email
from app.tasks.push_notification_tasks import send_booking_confirmation_push
from app.tasks.sms_tasks import send_booking_confirmation_sms
from tests import data
from tests.house import House, wait_until
from tests.rows import row, rows, to_do

pytestmark = pytest.mark.usefixtures("worker")

#: Generous: the machine may be busy with something else.
SOON = 30.0


def test_a_rolled_back_savepoint_takes_only_its_own_messages_along(house: House) -> None:
    with session() as s:
        send_booking_confirmation_sms.delay_in(s, **data.sms(booking_reference="KEPT1"))
        nested = s.begin_nested()
        send_booking_confirmation_sms.delay_in(s, **data.sms(booking_reference="GONE1"))
        nested.rollback()
        with s.begin_nested():
            send_booking_confirmation_sms.delay_in(s, **data.sms(booking_reference="KEPT2"))
    wait_until(lambda: len(house.ledger.entries("sms")) == 2, SOON)
    assert {m["booking_reference"] for m in rows()} == {"KEPT1", "KEPT2"}


def test_a_session_of_several_transactions_publishes_what_each_has_committed_once(house: House) -> None:
    published: list[str] = []

    def note(headers: dict[str, Any], **_: object) -> None:
        published.append(headers["id"])

    before_task_publish.connect(note)
    with Session(engine()) as s:
        first = send_booking_confirmation_sms.delay_in(s, **data.sms())
        s.commit()
        send_booking_confirmation_sms.delay_in(s, **data.sms())
        s.rollback()
        second = send_booking_confirmation_sms.delay_in(s, **data.sms())
        s.commit()
        s.execute(text("SELECT 1"))
        s.commit()
    assert published == [first.id, second.id]
    wait_until(lambda: len(house.ledger.entries("sms")) == 2, SOON)


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """This process's database is away; the worker's is not. Undone by `.undo()` or at the end."""

    def read_again() -> None:
        get_settings.cache_clear()
        dispose()

    monkeypatch.setenv("DATABASE_URL", "postgresql://postgres@127.0.0.1:1/pafar")
    read_again()
    yield monkeypatch
    monkeypatch.undo()
    read_again()


def test_with_the_database_away_a_message_is_published_all_the_same(
    house: House, no_database: pytest.MonkeyPatch
) -> None:
    result = send_booking_confirmation_sms.delay(**data.sms())
    assert result.get(timeout=SOON)["success"] is True
    no_database.undo()
    get_settings.cache_clear()
    dispose()
    message = row(result.id)  # the worker made the row, under the same id
    assert message
    assert message["status"] == "sent"
    assert len(house.ledger.entries("sms")) == 1


@pytest.mark.usefixtures("no_database")
def test_with_both_away_the_caller_is_told(house: House) -> None:
    house.valkey.stop()
    try:
        with pytest.raises(DatabaseUnavailable):
            send_booking_confirmation_sms.delay(**data.sms())
    finally:
        house.valkey.restart()


def test_bad_arguments_are_refused_at_once_and_every_bad_field_is_named(house: House) -> None:
    with pytest.raises(InvalidPayload) as error:
        send_booking_confirmation_email.delay("not an address", "", data.booking_data(seats=[], currency="NAIRA"))
    for field in ("user_email", "user_name", "booking_data.seats", "booking_data.currency"):
        assert field in str(error.value)
    assert "not an address" not in str(error.value)
    assert rows() == []


MISSING = r"^phone_number: is missing, but required; user_name: is missing.*; booking_data.seats: is missing"


def test_all_missing_parameters_are_named_with_the_missing_keys(house: House) -> None:
    some = {"booking_data": {"booking_reference": "PF7K2QXM"}}
    with pytest.raises(InvalidPayload, match=MISSING):
        send_booking_confirmation_sms.apply_async(kwargs=some)
    with pytest.raises(InvalidPayload, match="unexpected keyword argument 'seat'"):
        send_booking_confirmation_sms.delay(**data.sms(), seat="12")  # type: ignore[call-arg]
    result = celery_app.send_task(send_booking_confirmation_sms.name, kwargs=some)  # from another program
    with pytest.raises(InvalidPayload, match=MISSING):
        result.get(timeout=SOON)
    assert rows() == []


@pytest.mark.usefixtures("no_database")
def test_what_can_not_be_sent_is_refused_with_the_database_away_too(house: House) -> None:
    with pytest.raises(InvalidPayload, match="phone_number: is missing"):
        send_booking_confirmation_sms.apply_async(kwargs={"user_name": "Ada Obi"})
    assert house.valkey_client(1).llen("sms") == 0


def test_a_countdown_waits_in_the_row(house: House) -> None:
    result = send_booking_confirmation_sms.apply_async(kwargs=data.sms(), countdown=2)
    [line] = to_do()
    assert house.valkey_client(1).llen("sms") == 0
    result.get(timeout=SOON)
    assert time.time() >= line["due_at"].timestamp()


@pytest.mark.usefixtures("no_database")
def test_what_is_to_wait_needs_the_database(house: House) -> None:
    with pytest.raises(DatabaseUnavailable):
        send_booking_confirmation_sms.apply_async(kwargs=data.sms(), countdown=3600)
    assert house.valkey_client(1).llen("sms") == 0


def test_what_would_never_be_called_is_refused(house: House) -> None:
    after = send_booking_confirmation_push.si(**data.push())
    with pytest.raises(TypeError, match="link can't be had with countdown or eta"):
        send_booking_confirmation_sms.apply_async(kwargs=data.sms(), countdown=2, link=after)
    assert rows() == []


def test_options_of_celery_travel_with_the_message(house: House) -> None:
    after = send_booking_confirmation_push.si(**data.push())
    result = send_booking_confirmation_sms.apply_async(kwargs=data.sms(), link=after)
    assert result.get(timeout=SOON)["success"] is True
    wait_until(lambda: house.ledger.entries("push"), SOON)


def test_called_as_a_plain_function_it_sends_now(house: House) -> None:
    result = send_booking_confirmation_sms(**data.sms())
    [text] = house.ledger.entries("sms")
    assert result["sms_id"] == text["id"]


def test_a_task_sent_by_another_program_is_sent_once_however_often_it_comes(house: House) -> None:
    name, arguments = send_booking_confirmation_sms.name, data.sms()
    for _ in range(3):
        result = celery_app.send_task(name, kwargs=arguments, task_id="their-own-id")
    assert result.get(timeout=SOON)["success"] is True
    wait_until(house.is_idle, SOON)
    assert len(house.ledger.entries("sms")) == 1


def test_a_bad_task_of_another_program_fails_and_names_every_bad_field(house: House) -> None:
    bad = data.sms(seats=[], total_amount="lots") | {"phone_number": "12"}
    result = celery_app.send_task(send_booking_confirmation_sms.name, kwargs=bad)
    with pytest.raises(Exception, match="phone_number") as failure:
        result.get(timeout=SOON)
    assert "booking_data.seats" in str(failure.value)
    assert "booking_data.total_amount" in str(failure.value)
    assert result.state == "FAILURE"
    assert house.ledger.entries() == []
