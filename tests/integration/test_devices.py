"""Passengers' phones: registered, seen again, moved, logged out, stale, dropped; and the same over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core.database import session, transaction
from app.maintenance import small_tables
from app.messages.kinds import KINDS
from app.models import User
from app.notifications import devices, submit
from app.notifications.deliver import deliver
from app.notifications.devices import Device, UnknownUser
from app.notifications.outcome import Failed, Sent
from app.providers import registry
from sandbox.standins.fcm import apns_error, bad_request, fcm_error
from sandbox.standins.script import Behaviour
from tests import data
from tests.house import House
from tests.rows import change
from tests.web import Answer

pytestmark = pytest.mark.usefixtures("house")

INSTALLATION = "cU8vXkq3QeWlPzR0aBcDeF"


@pytest.fixture(scope="module")
def url(whole_house: House) -> Iterator[str]:
    with whole_house.api(API_KEY="sesame-for-tests") as address:
        yield f"{address}/api/v1/users"


def call(method: str, url: str, body: Any = None, *, key: str = "sesame-for-tests") -> Answer:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    content = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(url, content, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read().decode())


def make_user(name: str = "ada") -> int:
    with session() as s:
        user = User(name=name, email=f"{name}@example.com")
        s.add(user)
        s.flush()
        return user.id


def seen(user: int, token: str = "one", **more: Any) -> Device:
    with transaction() as connection:
        return devices.register(connection, user_id=user, token=token, **{"platform": "android", **more})


def phones(user: int, *, include_stale: bool = True) -> list[Device]:
    with transaction() as connection:
        return devices.of_user(connection, user, include_stale=include_stale)


def targets(user: int, **options: bool) -> list[str]:
    return [device.target for device in phones(user, **options)]


def unseen_for(days: float, token: str) -> None:
    change(
        "UPDATE device_tokens SET last_seen_at = clock_timestamp() - make_interval(hours => :hours)"
        " WHERE token = :token",
        hours=int(days * 24),
        token=token,
    )


def test_a_phone_is_noted_once_and_seen_again() -> None:
    ada = make_user()
    first = seen(ada)
    unseen_for(40, "one")
    assert phones(ada)[0].stale
    again = seen(ada, platform="ios")
    assert (again.id, again.platform, again.stale) == (first.id, "ios", False)
    assert again.last_seen_at >= first.last_seen_at
    assert phones(ada) == [again]


def test_a_phone_belongs_to_whoever_used_it_last() -> None:
    ada, ben = make_user("ada"), make_user("ben")
    device = seen(ada)
    seen(ben)
    assert (targets(ada), targets(ben)) == ([], ["one"])
    with transaction() as connection:  # Ada's late logout must not take Ben's phone away
        assert not devices.remove(connection, user_id=ada, device_id=device.id)
        assert devices.remove(connection, user_id=ben, device_id=device.id)
    assert targets(ben) == []


def test_a_new_token_takes_the_old_ones_place() -> None:
    ada, ben = make_user("ada"), make_user("ben")
    seen(ada, "old")
    seen(ben, "bens")
    seen(ada, "new", replaces="old")
    seen(ada, "new", replaces="bens")
    seen(ada, "new", replaces="new")
    assert (targets(ada), targets(ben)) == (["new"], ["bens"])


def test_a_token_gives_way_to_an_installation_id() -> None:
    ada = make_user()
    seen(ada, "old")
    device = seen(ada, INSTALLATION, kind="fid", replaces="old")
    seen(ada, INSTALLATION, kind="fid", replaces=device.target)
    assert targets(ada) == [device.target] == [f"fid:{INSTALLATION}"]
    seen(ada, "new", replaces=device.target)
    assert targets(ada) == ["new"]


def test_nobody_has_no_phone() -> None:
    with pytest.raises(UnknownUser):
        seen(12345)
    assert targets(12345) == []


def test_a_phone_goes_with_its_passenger_and_no_other_kind_is_kept() -> None:
    ada = make_user()
    seen(ada)
    for column in ("kind", "platform"):
        with pytest.raises(Exception, match=f"ck_device_tokens_{column}"):
            change(f"UPDATE device_tokens SET {column} = 'pigeon'")
    change("DELETE FROM users")
    assert targets(ada) == []


def test_after_thirty_days_a_phone_is_stale_and_after_270_it_is_dropped() -> None:
    ada = make_user()
    for token, days in [("fresh", 29.5), ("stale", 30.5), ("old", 269.5), ("gone-1", 270.5), ("gone-2", 400)]:
        seen(ada, token)
        unseen_for(days, token)
    assert targets(ada, include_stale=False) == ["fresh"]
    assert [device.stale for device in phones(ada)] == [False, True, True, True, True]
    assert small_tables.clean(timedelta(days=30))["device_tokens"] == 2
    assert targets(ada) == ["fresh", "stale", "old"]


BAD = "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("answer", "stays"),
    [
        (fcm_error("UNREGISTERED"), False),
        (fcm_error("SENDER_ID_MISMATCH"), False),
        (fcm_error(BAD, bad_request("message.token")), False),
        (fcm_error(BAD, apns_error(410, "Unregistered")), False),
        (fcm_error(BAD), True),
        (fcm_error("THIRD_PARTY_AUTH_ERROR"), True),
        (fcm_error("QUOTA_EXCEEDED"), True),
        (fcm_error("UNAVAILABLE"), True),
    ],
)
def test_only_what_fcm_calls_dead_is_forgotten(house: House, answer: Behaviour, stays: bool) -> None:
    ada = make_user()
    seen(ada, "well")
    seen(ada, "ill")
    seen(ada, INSTALLATION, kind="fid")
    house.fcm.tokens.update({"ill": answer, f"fid:{INSTALLATION}": answer})
    deliver(submit.accept_now(KINDS["booking_confirmation_push"], data.push(targets(ada))))
    assert set(targets(ada)) == ({"well", "ill", f"fid:{INSTALLATION}"} if stays else {"well"})
    assert [push["token"] for push in house.ledger.entries("push")] == ["well"]


@pytest.mark.parametrize("count", [1, 5])
def test_the_wrong_service_account_forgets_no_phone(house: House, count: int) -> None:
    ada = make_user()
    for number in range(count):
        seen(ada, f"phone-{number}")
    house.fcm.tokens.update(dict.fromkeys(targets(ada), fcm_error("SENDER_ID_MISMATCH")))
    registry.close()  # a process that has not sent yet
    outcome = deliver(submit.accept_now(KINDS["booking_confirmation_push"], data.push(targets(ada))))
    assert isinstance(outcome, Failed)
    assert len(targets(ada)) == count


def test_an_installation_id_is_told_as_a_token_is(house: House) -> None:
    ada = make_user()
    seen(ada, INSTALLATION, kind="fid")
    outcome = deliver(submit.accept_now(KINDS["booking_confirmation_push"], data.push(targets(ada))))
    assert isinstance(outcome, Sent)
    assert house.fcm.messages[-1]["fid"] == INSTALLATION
    assert "token" not in house.fcm.messages[-1]


def test_a_phone_over_http(url: str) -> None:
    ada = make_user()
    path = f"{url}/{ada}/devices"
    put = call("PUT", path, {"token": "one", "platform": "ios"})
    assert put.status == 200
    assert call("PUT", path, {"token": "one", "platform": "ios"}).json["id"] == put.json["id"]
    new = call("PUT", path, {"token": INSTALLATION, "kind": "fid", "platform": "ios", "replaces": "one"})
    assert datetime.fromisoformat(new.json["last_seen_at"])
    assert call("GET", path).json == [new.json]
    assert {**new.json, "last_seen_at": None} == {
        "id": new.json["id"],
        "target": f"fid:{INSTALLATION}",
        "platform": "ios",
        "last_seen_at": None,
        "stale": False,
    }
    unseen_for(31, INSTALLATION)
    assert call("GET", f"{path}?include_stale=false").json == []
    assert call("DELETE", f"{path}/{new.json['id']}").status == 204
    assert call("DELETE", f"{path}/{new.json['id']}").status == 404
    assert call("GET", path).json == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"token": "secret token"}, "token"),
        ({"token": "secret" * 400}, "token"),
        ({"token": ""}, "token"),
        ({"token": {"secret": 1}}, "token"),
        ({"kind": "secret"}, "kind"),
        ({"platform": "secret"}, "platform"),
        ({"replaces": "secret\n"}, "replaces"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_repeated(url: str, changes: dict[str, Any], named: str) -> None:
    answer = call("PUT", f"{url}/1/devices", {"token": "secret", "platform": "web"} | changes)
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json["detail"].startswith(f"{named}: ")
    assert "secret" not in answer.text


def test_strangers_and_unknown_users_are_turned_away(url: str) -> None:
    body = {"token": "one", "platform": "web"}
    assert call("PUT", f"{url}/1/devices", body).status == 404
    assert call("PUT", f"{url}/{2**63}/devices", body).status == 422
    assert call("DELETE", f"{url}/1/devices/0").status == 422
    for method, path in (("PUT", ""), ("GET", ""), ("DELETE", "/1")):
        assert call(method, f"{url}/1/devices{path}", body, key="wrong").status == 401
