"""Who opens the operators' pages, and under which name what they do is recorded."""

from __future__ import annotations

import time
from uuid import UUID

import pytest

from app.core.credentials import Basic
from app.dashboard.guard import LIFE, form_token
from app.messages.kinds import KINDS
from app.notifications import submit
from app.notifications.deliver import deliver
from app.notifications.outcome import Failed
from app.providers.errors import Rejected
from app.providers.memory import MemorySms
from tests import data
from tests.house import House
from tests.operators import KEY, Operator, frozen, new_key, recorded
from tests.rows import change, row
from tests.web import ask


def failed(gateway: MemorySms) -> UUID:
    message_id = submit.accept_now(KINDS["booking_confirmation_sms"], data.sms())
    gateway.script.append(Rejected("spam"))
    assert isinstance(deliver(message_id), Failed)
    return message_id


def test_a_token_ages(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Basic("grace", KEY)
    now = time.time()
    token = form_token(given)
    monkeypatch.setattr(time, "time", lambda: now + LIFE)
    assert form_token(given, age=1) == token
    monkeypatch.setattr(time, "time", lambda: now + 2 * LIFE)
    assert token not in (form_token(given), form_token(given, age=1))


def test_without_an_api_key_only_a_key_of_the_table_opens(house: House, gateway: MemorySms) -> None:
    change("TRUNCATE operator_actions")
    message_id = failed(gateway)
    page = f"/messages/{message_id}"
    with house.api(API_KEY="") as url:
        for who in (Operator(url, None), Operator(url, key=""), Operator(url)):
            for refused in (who.get(page), who.press(f"{page}/replay", token="0" * 64)):
                assert refused.status == 401
                assert "Set API_KEY" in refused.text
        for path in ("/metrics", "/api/v1/alerts"):
            refused = ask(url + path)
            assert refused.status == 401
            assert "Set API_KEY" in refused.text
        grace = Operator(url, key=new_key())
        assert grace.get(page).status == 200
        assert grace.press(f"{page}/replay", page=page).status == 303
    assert (row(message_id) or {})["status"] == "queued"
    assert recorded() == [("grace", "replay", message_id)]


def test_a_key_that_can_t_be_looked_up_is_refused_in_words(grace: Operator, url: str, house: House) -> None:
    bob = Operator(url, "bob", key=new_key("bob"))
    with frozen(house.postgres.pid):
        refused = bob.get("/")
    assert refused.status == 503
    assert "only API_KEY opens this page meanwhile" in refused.text


@pytest.mark.parametrize("typed", ["bob", "", "Zoë"])
def test_what_is_done_with_a_key_of_the_table_is_recorded_under_its_name(
    grace: Operator, url: str, gateway: MemorySms, typed: str
) -> None:
    message_id = failed(gateway)
    page = f"/messages/{message_id}"
    assert Operator(url, typed, key=new_key("grace")).press(f"{page}/replay", page=page).status == 303
    assert recorded() == [("grace", "replay", message_id)]


def test_a_name_may_have_any_letters(grace: Operator, url: str, gateway: MemorySms) -> None:
    message_id = failed(gateway)
    page = f"/messages/{message_id}"
    assert Operator(url, "Zoë Ọládélé").press(f"{page}/replay", page=page).status == 303
    assert recorded() == [("Zoë Ọládélé", "replay", message_id)]


@pytest.mark.parametrize(
    "shown", ["Basic", "Basic !", "Basic Z3JhY2U=", "Basic Z/w6/A==", "Basic \xe9", "Bearer x"]
)
def test_what_is_no_name_and_key_is_refused_in_words(grace: Operator, url: str, shown: str) -> None:
    refused = ask(f"{url}/", Authorization=shown)
    assert refused.status == 401
    assert 'charset="UTF-8"' in refused.headers["www-authenticate"]
