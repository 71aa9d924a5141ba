"""A push to many: its counts equal the tokens given, whatever happens on the way."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from app.core.celery_app import celery_app
from app.core.database import session, transaction
from app.messages.base import InvalidPayload
from app.messages.kinds import KINDS
from app.notifications import campaign_store, campaigns, submit
from app.notifications.campaign_store import NoSuchCampaign, Progress, State
from app.notifications.campaigns import CampaignOver
from app.notifications.deliver import deliver
from app.notifications.outcome import Postponed, Skipped
from app.tasks.base import DeliveryFailed
from app.tasks.push_notification_tasks import send_bulk_chunk_push, send_bulk_push_notification
from sandbox.standins.fcm import fcm_error
from sandbox.standins.script import slow
from tests.house import House, wait_until
from tests.rows import change, row, rows, to_do
from tests.tasks import refusal

#: Seconds for a campaign to end. Generous: the machine may be busy with something else.
SOON = 90
BULK = KINDS["bulk_push_notification"]


def users(count: int, *, start: int = 0) -> dict[str, list[str]]:
    """Each with a phone and a tablet."""
    return {str(n): [f"phone-{n}", f"tablet-{n}"] for n in range(start, start + count)}


def bulk(user_tokens: Any, **more: Any) -> dict[str, Any]:
    return {"user_tokens": user_tokens, "title": "No buses on Friday", "body": "A strike is announced.", **more}


def standing(campaign_id: UUID | str) -> Progress:
    with transaction() as connection:
        return campaign_store.progress(connection, UUID(str(campaign_id)))


def pushed(house: House) -> Counter[str]:
    return Counter(entry["token"] for entry in house.ledger.entries("push"))


@pytest.mark.usefixtures("house")
def test_what_is_written_is_one_campaign_and_its_chunks_each_token_once() -> None:
    tokens = users(600) | {"twice": ["phone-1", "phone-1"], "none": []}
    with session() as s:
        task = send_bulk_push_notification.delay_in(s, bulk(tokens))
    campaign, *chunks = rows()
    assert (str(campaign["id"]), campaign["pending_tokens"]) == (task.id, None)
    assert "user_tokens" not in json.dumps(campaign["payload"])
    assert [len(chunk["pending_tokens"]) for chunk in chunks] == [500, 500, 200]
    assert len({token for chunk in chunks for token in chunk["pending_tokens"]}) == 1200
    now = standing(task.id)
    assert (now.total_users, now.total_tokens, now.waiting_count) == (602, 1202, 1202)
    assert (now.chunks_held, now.chunks_under_way, now.state) == (3, 0, State.RUNNING)


@pytest.mark.usefixtures("house")
def test_a_rollback_leaves_nothing() -> None:
    with transaction() as connection:
        submit.accept(connection, BULK, {"notification_data": bulk(users(300))})
        connection.rollback()
    assert rows() == to_do() == []


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"user_tokens": {}}, {"user_tokens"}),
        ({"user_tokens": {"7": []}}, {"user_tokens"}),
        ({"user_tokens": {"7": ["a b"]}}, {"user_tokens"}),
        ({"user_tokens": ["token"]}, {"user_tokens"}),
        ({"title": None, "body": ""}, {"title", "body"}),
        ({"title": "x" * 201, "body": "x" * 1001}, {"title", "body"}),
        ({"data": {"from": "x"}}, {"data"}),
        ({"data": {"screen": ["x"]}}, {"data"}),
        ({"data": {f"k{n}": "x" * 900 for n in range(5)}}, {""}),
    ],
)
@pytest.mark.usefixtures("house")
def test_every_bad_field_is_named(changes: dict[str, Any], fields: set[str]) -> None:
    named = refusal(send_bulk_push_notification, {"notification_data": bulk(users(1)) | changes})
    assert named == {f"notification_data.{field}".rstrip(".") for field in fields}


@pytest.mark.usefixtures("house")
def test_a_chunk_is_nobodys_to_send_and_campaigns_are_accepted_one_by_one() -> None:
    with pytest.raises(InvalidPayload, match="bulk push alone"):
        send_bulk_chunk_push.delay()
    with pytest.raises(InvalidPayload, match="accepted alone"), transaction() as connection:
        submit.accept_many(connection, BULK, [{"notification_data": bulk(users(1))}])
    assert rows() == []


@pytest.mark.usefixtures("house")
def test_only_a_window_of_chunks_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_store, "WINDOW", 2)
    campaign = submit.accept_now(BULK, {"notification_data": bulk(users(1100))})
    for _ in range(2):
        assert isinstance(deliver(campaign), Postponed)
        change("UPDATE notifications SET not_before = clock_timestamp() WHERE id = :id", id=campaign)
        assert (standing(campaign).chunks_held, standing(campaign).chunks_under_way) == (3, 2)


@pytest.mark.usefixtures("house")
def test_an_operator_stops_and_goes_on_and_stops_for_good() -> None:
    campaign = submit.accept_now(BULK, {"notification_data": bulk(users(600))})
    with transaction() as connection:
        assert campaigns.pause(connection, campaign).state is State.PAUSED
        assert campaigns.pause(connection, campaign).state is State.PAUSED
        assert campaigns.resume(connection, campaign).state is State.RUNNING
        assert campaigns.cancel(connection, campaign).state is State.CANCELLED
        with pytest.raises(CampaignOver, match="cancelled"):
            campaigns.resume(connection, campaign)
        with pytest.raises(NoSuchCampaign):
            campaigns.cancel(connection, UUID(int=0))


@pytest.mark.usefixtures("house")
def test_a_chunk_let_go_is_held_again_when_paused_and_never_sent_when_cancelled(house: House) -> None:
    campaign = submit.accept_now(BULK, {"notification_data": bulk(users(600))})
    assert isinstance(deliver(campaign), Postponed)
    first, second, _ = [r["id"] for r in rows() if r["campaign_id"] == campaign]
    with transaction() as connection:
        campaigns.pause(connection, campaign)
    assert isinstance(deliver(first), Postponed)
    assert (standing(campaign).chunks_held, standing(campaign).chunks_under_way) == (1, 2)
    deliver(campaign)
    assert standing(campaign).chunks_held == 1
    with transaction() as connection:
        campaigns.cancel(connection, campaign)
    assert isinstance(deliver(second), Skipped)
    deliver(campaign)  # ends the held one without sending it
    assert (standing(campaign).chunks_held, (row(first) or {})["reason"]) == (0, "cancelled")
    assert house.ledger.entries() == []


# From here on a worker runs.


@pytest.mark.usefixtures("worker")
def test_the_counts_equal_the_tokens_given(house: House) -> None:
    dead = [f"phone-{n}" for n in range(0, 2500, 100)]
    house.fcm.tokens.update({token: fcm_error("UNREGISTERED") for token in dead})
    slow_down = fcm_error("QUOTA_EXCEEDED", headers={"Retry-After": "1"})
    house.fcm.script.extend([slow_down] * 60)
    given = users(2500) | {"again": ["phone-1", "phone-0", "tablet-1"]}
    task = send_bulk_push_notification.delay(bulk(given, data={"screen": "news", "trip": 7}))
    result = task.get(timeout=SOON)
    assert result == {
        "success": True,
        "message": "Bulk push sent to 4977 of 5003 tokens",
        "total_users": 2501,
        "total_tokens": 5003,
        "success_count": 4977,  # of those given twice, two reached a phone and phone-0 is dead
        "failure_count": 26,
    }
    once = pushed(house)
    assert set(once.values()) == {1}
    assert set(once) == {token for tokens in given.values() for token in tokens} - set(dead)
    entry = house.ledger.entries("push")[0]
    assert (entry["title"], entry["body"]) == ("No buses on Friday", "A strike is announced.")
    assert (entry["data"]["screen"], entry["data"]["trip"], entry["tag"]) == ("news", "7", f"bulk-{task.id}")
    own = row(task.id) or {}
    assert (own["status"], own["sent_count"], own["failed_count"]) == ("sent", 4977, 26)
    assert to_do() == []
    now = standing(task.id)
    assert (now.finished, now.waiting_count) == (True, 0)


@pytest.mark.usefixtures("worker")
def test_when_no_phone_is_reached_the_task_fails(house: House) -> None:
    house.fcm.tokens.update({f"{kind}-0": fcm_error("UNREGISTERED") for kind in ("phone", "tablet")})
    task = send_bulk_push_notification.delay(bulk(users(1)))
    with pytest.raises(DeliveryFailed, match="InvalidRecipient"):
        task.get(timeout=SOON)
    assert (standing(task.id).failure_count, (row(task.id) or {})["failed_count"]) == (2, 2)


@pytest.mark.usefixtures("worker")
def test_another_programs_call_works_with_its_arguments(house: House) -> None:
    task = celery_app.send_task(BULK.task, kwargs={"notification_data": bulk(users(400))})
    wait_until(lambda: len(pushed(house)) == 800, SOON)
    assert set(pushed(house).values()) == {1}
    campaign = next(r for r in rows() if r["kind"] == BULK.name)
    wait_until(lambda: (row(campaign["id"]) or {})["status"] == "sent", SOON)
    assert task.id != str(campaign["id"])


@pytest.mark.usefixtures("worker")
def test_what_is_paused_waits_and_what_is_resumed_goes_on(house: House) -> None:
    with transaction() as connection:
        campaign = submit.accept(connection, BULK, {"notification_data": bulk(users(1500))}).id
        campaigns.pause(connection, campaign)
    wait_until(lambda: (row(campaign) or {})["reason"] == "the campaign is paused", SOON)
    assert house.ledger.entries() == []
    assert (standing(campaign).waiting_count, standing(campaign).chunks_held) == (3000, 6)
    with transaction() as connection:
        campaigns.resume(connection, campaign)
    wait_until(lambda: standing(campaign).finished, SOON)
    assert (standing(campaign).success_count, set(pushed(house).values())) == (3000, {1})


@pytest.mark.usefixtures("worker")
def test_what_is_cancelled_midway_ends_and_counts_truly(house: House) -> None:
    house.fcm.tokens.update({f"phone-{n}": slow(2.0) for n in range(20_000)})
    task = send_bulk_push_notification.delay(bulk(users(20_000)))
    wait_until(lambda: len(pushed(house)) > 100, SOON)
    with transaction() as connection:
        campaigns.cancel(connection, UUID(task.id))
    result = task.get(timeout=SOON)
    assert (result["skipped"], result["total_tokens"]) == ("cancelled", 40_000)
    assert result["success_count"] == len(pushed(house)) < 40_000
    assert result["success_count"] + result["failure_count"] == 40_000
    assert set(pushed(house).values()) == {1}
    assert to_do() == []


def test_a_worker_killed_midway_repeats_at_most_what_was_under_way(house: House) -> None:
    house.fcm.tokens.update({f"phone-{n}": slow(3.0) for n in range(1000, 1100)})
    with house.worker() as first:
        task = send_bulk_push_notification.delay(bulk(users(3000)))
        wait_until(lambda: len(pushed(house)) > 2000, SOON)
        first.kill()
    with house.worker():
        wait_until(lambda: standing(task.id).finished, SOON)
    now = standing(task.id)
    assert (now.success_count, now.failure_count) == (6000, 0)
    assert len(pushed(house)) == 6000
    assert max(pushed(house).values()) <= 2
