"""Many messages accepted in one call: all or none, published by the relay, each as if accepted alone."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import text

from app.core.database import engine, session, transaction
from app.messages.base import InvalidPayload
from app.messages.kinds import KINDS
from app.notifications import subjects, submit
from app.notifications.relay import Relay
from app.tasks.sms_tasks import send_booking_confirmation_sms
from tests import data
from tests.house import House, wait_until
from tests.rows import row, rows, to_do
from tests.tasks import SOON

SMS, DELAY, OTP = (KINDS[name] for name in ("booking_confirmation_sms", "trip_delay_sms", "otp_sms"))


def texts(count: int) -> list[dict[str, Any]]:
    return [data.sms(booking_reference=f"PF{number:06}") for number in range(count)]


@pytest.mark.usefixtures("house")
def test_each_row_is_as_if_accepted_alone() -> None:
    with transaction() as connection:
        [one_of_many] = submit.accept_many(connection, SMS, [data.sms()])
        alone = submit.accept(connection, SMS, data.sms()).id
    same, other = row(one_of_many) or {}, row(alone) or {}
    for name in ("id", "created_at", "not_before"):
        assert same.pop(name) is not None
        assert other.pop(name) is not None
    # 1 h after the insert would differ; the departure is later and does not.
    assert same == other


@pytest.mark.usefixtures("house")
def test_the_order_is_that_of_the_call_and_all_are_published() -> None:
    with transaction() as connection:
        ids = submit.accept_many(connection, SMS, texts(20))
    references = {r["id"]: r["booking_reference"] for r in rows()}
    assert [references[i] for i in ids] == [f"PF{number:06}" for number in range(20)]
    assert Relay().publish_due() == 20
    assert all(line["published_at"] for line in to_do())


@pytest.mark.usefixtures("house")
def test_bad_ones_are_named_by_index_and_nothing_is_written() -> None:
    some = texts(40)
    for index in (3, *range(20, 31)):
        some[index]["phone_number"] = "0800-secret"
    with pytest.raises(InvalidPayload) as caught, transaction() as connection:
        submit.accept_many(connection, SMS, some)
    said = str(caught.value)
    assert said.startswith("3: phone_number: must ")
    assert said.endswith("; and 2 more")
    assert "secret" not in said
    assert rows() == to_do() == []


@pytest.mark.usefixtures("house")
def test_none_is_none_and_a_rollback_leaves_none() -> None:
    with transaction() as connection:
        assert submit.accept_many(connection, SMS, []) == []
        submit.accept_many(connection, SMS, texts(2))
        connection.rollback()
    assert rows() == []


# From here on a worker runs.


@pytest.mark.usefixtures("worker")
def test_each_is_sent_once_and_its_task_succeeds(house: House) -> None:
    with session() as s:
        tasks = send_booking_confirmation_sms.delay_many_in(s, texts(300))
    assert tasks[-1].get(timeout=SOON)["booking_reference"] == "PF000299"
    wait_until(lambda: not to_do(), SOON)
    assert [(row(task.id) or {})["status"] for task in tasks] == ["sent"] * 300
    assert len(house.ledger.entries("sms")) == 300


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("at_once", [2, 1000])
def test_of_several_about_one_thing_only_the_newest_is_sent(
    house: House, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subjects, "AT_ONCE", at_once)
    with transaction() as connection:
        earlier = submit.accept(connection, DELAY, data.delay(5)).id
        ids = submit.accept_many(
            connection, DELAY, [data.delay(30), data.delay(60, booking_reference="PF2"), data.delay(90)]
        )
    wait_until(lambda: not to_do(), SOON)
    found = {r["id"]: (r["status"], r["revision"]) for r in rows()}
    assert found[earlier] == ("skipped", 1)
    assert [found[i] for i in ids] == [("skipped", 2), ("sent", 1), ("sent", 3)]
    assert len(house.ledger.entries("sms")) == 2


@pytest.mark.usefixtures("house")
def test_revisions_are_not_found_pair_by_pair() -> None:
    def seconds(count: int) -> float:
        with engine().connect() as connection:
            connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))  # which knows no sizes
            submit.accept_many(
                connection, DELAY, [data.delay(5, booking_reference=f"PF{number}") for number in range(count)]
            )
            began = time.perf_counter()
            subjects._enter_all(connection)
            took = time.perf_counter() - began
            connection.rollback()
        return took

    few, many = (min(seconds(count) for _ in range(4)) for count in (100, 1000))
    assert many < 25 * few  # by pairs it is 70 times as much


@pytest.mark.usefixtures("worker")
def test_a_code_is_sealed_sent_and_wiped(house: House) -> None:
    with transaction() as connection:
        ids = submit.accept_many(connection, OTP, [data.otp("493817"), data.otp("620418")])
        written = [r["payload"] for r in _in(connection)]
    assert all(set(payload) == {"sealed"} for payload in written)
    wait_until(lambda: not to_do(), SOON)
    assert len(house.ledger.entries("sms")) == 2
    assert [(row(i) or {})["payload"] for i in ids] == [{}, {}]


def _in(connection: Any) -> list[dict[str, Any]]:
    return [dict(r) for r in connection.exec_driver_sql("SELECT * FROM notifications").mappings()]
