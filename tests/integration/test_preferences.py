"""Passengers who refuse offers get none, whichever way and however early the offer was accepted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from app.core.config import get_settings
from app.core.database import dispose, statement, transaction
from app.messages.kinds import KINDS
from app.messages.payloads import validate
from app.notifications import channels, preferences, store, submit
from app.notifications.deliver import deliver
from app.notifications.outcome import Outcome, Postponed, Sent, Skipped
from app.providers.errors import Transient
from app.providers.memory import MemoryPush
from tests import data
from tests.house import House
from tests.integration.test_devices import INSTALLATION, call, make_user, seen, targets
from tests.rows import due_again, row

OFFER = KINDS["promotional_push"]

pytestmark = pytest.mark.usefixtures("house")


@pytest.fixture(scope="module")
def url(whole_house: House) -> Iterator[str]:
    with whole_house.api(API_KEY="sesame-for-tests") as address:
        yield f"{address}/api/v1/users"


def refuse(user: int, *, offers: bool = False) -> None:
    with transaction() as connection:
        preferences.set_offers(connection, user, offers=offers)


def offer(tokens: Sequence[str]) -> Outcome:
    arguments = {"device_tokens": list(tokens), "promotion_data": {"message": "10 % off", "promotion_id": 31}}
    return deliver(submit.accept_now(OFFER, arguments))


def test_who_refuses_offers_gets_none_but_all_that_matters(fcm: MemoryPush) -> None:
    ada = make_user()
    seen(ada, "phone")
    seen(ada, INSTALLATION, kind="fid")
    refuse(ada)
    outcome = offer(targets(ada))
    assert isinstance(outcome, Skipped)
    assert outcome.result == {
        "success": True,
        "skipped": "opted_out",
        "message": "Not sent: the passenger wants no offers",
        "promotion_id": "31",
    }
    assert fcm.sent == []
    assert isinstance(deliver(submit.accept_now(KINDS["booking_confirmation_push"], data.push(["phone"]))), Sent)
    refuse(ada, offers=True)
    assert isinstance(offer(targets(ada)), Sent)


def test_an_offer_to_several_goes_to_the_others(fcm: MemoryPush) -> None:
    ada, obi = make_user(), make_user("obi")
    seen(ada, "adas")
    seen(obi, "obis")
    refuse(ada)
    outcome = offer(["adas", "obis", "nobodys"])
    assert isinstance(outcome, Sent)
    assert (outcome.result["sent_count"], outcome.result["failed_count"]) == (2, 0)
    assert [token for _, token in fcm.sent] == ["obis", "nobodys"]


def test_a_refusal_holds_for_an_offer_that_waits(fcm: MemoryPush) -> None:
    ada = make_user()
    seen(ada, "phone")
    seen(ada, "tablet")
    fcm.tokens["tablet"] = Transient("busy")
    arguments = {"device_tokens": ["phone", "tablet"], "promotion_data": {"message": "10 % off"}}
    message_id = submit.accept_now(OFFER, arguments)
    assert isinstance(deliver(message_id), Postponed)
    refuse(ada)
    fcm.tokens.clear()
    due_again()
    assert isinstance(deliver(message_id), Sent)
    assert (row(message_id) or {})["sent_count"] == 1
    assert [token for _, token in fcm.sent] == ["phone"]


def test_an_offer_waits_while_nobody_can_be_asked(fcm: MemoryPush, monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = submit.accept_now(OFFER, {"device_tokens": ["phone"], "promotion_data": {"message": "10 % off"}})
    with statement() as connection:
        held = store.claim(connection, message_id)
    assert held
    payload = validate(OFFER, held.payload, submit.defaults())
    try:
        monkeypatch.setenv("DATABASE_URL", "postgresql://postgres@127.0.0.1:1/pafar")
        read_again()
        assert isinstance(channels.attempt(held, OFFER, payload), Postponed)
    finally:
        monkeypatch.undo()
        read_again()
    assert fcm.sent == []


def read_again() -> None:
    """Have this process take up what the environment says now."""
    get_settings.cache_clear()
    dispose()


def test_the_switch_over_http(url: str) -> None:
    path = f"{url}/{make_user()}/preferences"
    assert call("GET", path).json == {"offers": True}
    assert call("PUT", path, {"offers": False}).json == {"offers": False}
    assert call("GET", path).json == {"offers": False}
    assert call("PUT", path, {"offers": True}).json == call("GET", path).json == {"offers": True}
    for body in ({}, {"offers": None}, {"offers": "no"}):
        answer = call("PUT", path, body)
        assert (answer.status, answer.json["detail"].partition(":")[0]) == (422, "offers")


def test_strangers_and_unknown_users_are_turned_away(url: str) -> None:
    for method, body in (("GET", None), ("PUT", {"offers": False})):
        assert call(method, f"{url}/4711/preferences", body).status == 404
        assert call(method, f"{url}/4711/preferences", body, key="wrong").status == 401
