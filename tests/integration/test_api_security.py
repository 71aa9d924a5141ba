"""Who comes in, as what, how often and with how much; and what no answer tells."""

from __future__ import annotations

import http.client
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.api.limits import MAX_BODY, WRONG_KEYS
from app.core.database import transaction
from sandbox.servers.valkey import ValkeyServer
from tests import data
from tests.house import House, wait_until
from tests.integration.test_commands import pafar
from tests.operators import frozen
from tests.rows import change
from tests.web import Answer, ask

FIRST = "the-first-key-for-tests"
NOTIFICATIONS, CAMPAIGN = "/api/v1/notifications", f"/api/v1/campaigns/{uuid4()}"
SOON = 30.0
MESSAGE = {"kind": "booking_confirmation_sms", "arguments": data.sms()}


@pytest.fixture(scope="module")
def url(whole_house: House) -> Iterator[str]:
    with whole_house.api(API_KEY=FIRST) as address:
        yield address


def key(house: House, *options: str, name: str = "shop") -> str:
    made = pafar(house, "keys", "create", name, *options)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def number(of: str) -> str:
    return of.split("_")[1]


def shown(url: str, key: str, path: str = NOTIFICATIONS, body: object = None, **headers: str) -> Answer:
    return ask(url + path, body, Authorization=f"Bearer {key}", **headers)


def page(url: str, password: str) -> int:
    return ask(f"{url}/", Authorization=f"Basic {b64encode(f'grace:{password}'.encode()).decode()}").status


def test_a_producer_sends_and_an_operator_does_everything(house: House, url: str) -> None:
    producer, operator = key(house), key(house, "--role", "operator", name="grace")
    for caller, steering, watching in ((producer, 403, 403), (operator, 404, 200), (FIRST, 404, 200)):
        assert shown(url, caller, body=MESSAGE).status == 202
        assert shown(url, caller).status == 200
        assert shown(url, caller, f"{CAMPAIGN}/pause", {}).status == steering
        assert {shown(url, caller, path).status for path in ("/metrics", "/api/v1/alerts")} == {watching}
    assert [page(url, password) for password in (producer, operator, FIRST)] == [401, 200, 200]
    assert "statistics" not in shown(url, producer, "/health/tasks").json
    assert "statistics" in shown(url, operator, "/health/tasks").json


def test_two_keys_of_one_caller_are_valid_at_once_and_a_revoked_one_soon_is_not(house: House, url: str) -> None:
    old = key(house)
    sent = shown(url, old, body=MESSAGE, Idempotency_Key="order-7").json["id"]
    new = key(house)
    assert shown(url, new, body=MESSAGE, Idempotency_Key="order-7").json["id"] == sent
    stranger = key(house, name="kiosk")
    assert shown(url, stranger, body=MESSAGE, Idempotency_Key="order-7").json["id"] != sent
    assert shown(url, old).status == 200
    assert pafar(house, "keys", "revoke", number(old)).returncode == 0
    wait_until(lambda: shown(url, old).status == 401, SOON)
    assert shown(url, new).status == 200
    assert pafar(house, "keys", "revoke", "99999").returncode == 1


def test_a_key_ends_by_itself(house: House, url: str) -> None:
    ending = key(house, "--days", "1")
    assert shown(url, ending).status == 200
    change("UPDATE api_keys SET expires_at = clock_timestamp() WHERE id = :id", id=int(number(ending)))
    wait_until(lambda: shown(url, ending).status == 401, SOON)


def test_only_the_very_key_opens(house: House, url: str) -> None:
    right = key(house)
    end = "B" if right.endswith("A") else "A"
    others = (right[:-1] + end, right.replace("pafar_", "pafar_9", 1), f"pafar_{'9' * 18}_{'a' * 43}", "")
    assert [shown(url, wrong).status for wrong in others] == [401] * len(others)
    assert ask(url + NOTIFICATIONS).headers["www-authenticate"] == "Bearer"


def test_a_key_is_kept_and_listed_as_its_hash_alone(house: House, url: str) -> None:
    made = key(house)
    assert shown(url, made).status == 200
    listed = pafar(house, "keys", "list", "--json")
    with transaction() as connection:
        stored = connection.execute(text("SELECT api_keys::text FROM api_keys")).scalars().all()
    assert made.split("_", 2)[2] not in listed.stdout + "".join(stored)
    assert sha256(made.encode()).hexdigest() in "".join(stored)
    assert f'"id": {number(made)}' in listed.stdout
    assert "shop" in pafar(house, "keys", "list").stdout


def test_each_key_has_its_rate(house: House) -> None:
    with house.api(API_KEY=FIRST, API_REQUESTS_PER_MINUTE="12") as url:  # two at once
        eager, patient = key(house), key(house)
        answers = [shown(url, eager) for _ in range(5)]
        assert [a.status for a in answers[:2]] == [200, 200]
        assert answers[4].status == 429
        assert answers[4].headers["content-type"] == "application/problem+json"
        wait = int(answers[4].headers["retry-after"])
        assert 1 <= wait <= 5
        assert shown(url, patient).status == 200
        wait_until(lambda: shown(url, eager).status == 200, SOON)


def test_without_redis_nobody_is_refused(house: House, redis_server: ValkeyServer) -> None:
    with house.api(API_KEY=FIRST, API_REQUESTS_PER_MINUTE="6", REDIS_URL=f"{redis_server.url}/0") as url:
        program = key(house)
        assert [shown(url, program).status for _ in range(2)] == [200, 429]
        redis_server.stop()
        assert [shown(url, program).status for _ in range(4)] == [200] * 4
        assert shown(url, "wrong").status == 401


def test_an_operators_rate_holds_for_the_pages_and_api_key_has_none(house: House) -> None:
    with house.api(API_KEY=FIRST, API_REQUESTS_PER_MINUTE="6") as url:
        made = key(house, "--role", "operator")
        assert [page(url, made), page(url, made)] == [200, 429]
        assert [shown(url, FIRST).status for _ in range(4)] == [200] * 4


def test_wrong_keys_are_limited_and_a_right_one_is_not_held_up_by_them(house: House, url: str) -> None:
    right = key(house)
    wrong = ["guess", f"pafar_{number(right)}_{'a' * 43}"] * 6
    assert [shown(url, guess).status for guess in wrong] == [401] * WRONG_KEYS + [429] * 2
    refused = shown(url, "guess")
    assert 1 <= int(refused.headers["retry-after"]) <= 6
    assert page(url, "guess") == 429
    assert ask(url + NOTIFICATIONS).status == ask(f"{url}/").status == 401  # who shows none is only asked for one
    assert [shown(url, of).status for of in (right, FIRST)] == [200, 200]
    assert page(url, FIRST) == 200


def test_while_redis_hangs_the_api_answers(house: House, redis_server: ValkeyServer) -> None:
    with house.api(API_KEY=FIRST, REDIS_URL=f"{redis_server.url}/0") as url:
        made = key(house, "--role", "operator")
        assert shown(url, made).status == 200
        with frozen(redis_server.pid):
            assert {shown(url, of).status for of in (made, FIRST)} == {200}
            assert shown(url, FIRST, "/metrics").status == 200


def test_what_is_not_configured_is_said_without_a_word_of_how(house: House) -> None:
    with house.api(API_KEY=FIRST, PAYLOAD_KEYS="") as url:
        refused = shown(url, FIRST, body={"kind": "otp_sms", "arguments": data.otp()})
        assert refused.status == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert "not configured" in refused.json["detail"]
        assert "493817" not in refused.text
        assert shown(url, FIRST, body=MESSAGE).status == 202
        report = shown(url, FIRST, "/health/tasks").json
    assert "unconfigured: one-time codes (PAYLOAD_KEYS)" in report["components"]["providers"]["message"]


def test_a_frozen_database_leaves_health_to_whoever_asks(house: House, url: str) -> None:
    made = key(house, "--role", "operator")
    with frozen(house.postgres.pid):
        answer = shown(url, made, "/health/tasks")
    assert (answer.status, answer.json["overall_healthy"]) == (200, False)


def test_a_body_has_an_end_whatever_its_header_says(house: House, url: str) -> None:
    assert post(url, [b"[" * MAX_BODY, b"["], length=None) == 413
    assert post(url, [], length=MAX_BODY + 1) == 413
    assert post(url, [b"[" * 100], length=100) == 422


def post(url: str, parts: list[bytes], *, length: int | None) -> int:
    """POST, chunked where no length is told; the answer's status."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {FIRST}", "Content-Type": "application/json"}
    if length is not None:
        headers["Content-Length"] = str(length)
    try:
        connection.request("POST", NOTIFICATIONS, iter(parts), headers, encode_chunked=length is None)
        answer = connection.getresponse()
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.status
    finally:
        connection.close()


def check_guarded(answer: Answer) -> None:
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "max-age" in answer.headers["strict-transport-security"]
    assert "server" not in answer.headers


def test_every_error_is_a_problem_and_guarded(house: House, url: str) -> None:
    change("ALTER TABLE device_tokens RENAME TO gone")
    try:
        broken = shown(url, FIRST, "/api/v1/users/1/devices")
    finally:
        change("ALTER TABLE gone RENAME TO device_tokens")
    errors = {
        500: broken,
        404: shown(url, FIRST, "/nothing-here"),
        405: shown(url, FIRST, "/metrics", {}),
        422: shown(url, FIRST, body={"kind": 7}),
        401: ask(url + NOTIFICATIONS),
    }
    for status, answer in errors.items():
        assert answer.status == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["status"] == status
        assert "device_tokens" not in answer.text
        check_guarded(answer)


def test_every_good_answer_is_guarded(url: str) -> None:
    fine = (
        shown(url, FIRST),
        ask(f"{url}/health/live"),
        ask(f"{url}/static/style.css"),
        ask(f"{url}/openapi.json"),
    )
    for answer in fine:
        check_guarded(answer)
    assert shown(url, FIRST).headers["cache-control"] == "no-store"
    assert {ask(url + path).status for path in ("/docs", "/redoc")} == {404}
