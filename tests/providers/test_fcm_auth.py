"""Access tokens for FCM: fetched once for all threads, renewed in time, replaced when withdrawn."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from app.providers.base import Receipt
from app.providers.errors import Misconfigured, ProviderError, RateLimited, Transient
from app.providers.fcm import FcmProvider
from app.providers.fcm_auth import ServiceAccount
from app.providers.http import HttpClient
from sandbox.standins.fcm import FcmStandIn
from sandbox.standins.ledger import Ledger
from sandbox.standins.script import DROP, HANG, Behaviour, answer, slow
from sandbox.standins.tls import Authority
from tests.providers.fcm_bench import connect, outcome
from tests.providers.suites import PUSH


def test_one_access_token_serves_many_threads(provider: FcmProvider, fcm: FcmStandIn) -> None:
    fcm.grant_script.append(slow(0.5))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: outcome(provider), range(40)))
    assert all(isinstance(result, Receipt) for result in results)
    assert fcm.grants == 1


def test_a_short_lived_access_token_is_renewed_in_time(provider: FcmProvider, fcm: FcmStandIn) -> None:
    fcm.lifetime = 0
    outcome(provider)
    outcome(provider)
    assert fcm.grants == 2


def test_a_withdrawn_access_token_is_replaced_once(provider: FcmProvider, fcm: FcmStandIn, ledger: Ledger) -> None:
    outcome(provider)
    fcm.revoke()
    results = provider.send(PUSH, [f"token-{number}" for number in range(50)])
    assert all(isinstance(result, Receipt) for result in results)
    assert fcm.grants == 2
    assert len(ledger.entries("push")) == 51


def test_an_access_token_refused_again_is_misconfigured(provider: FcmProvider, fcm: FcmStandIn) -> None:
    fcm.tokens["token"] = answer(401, {"error": {"status": "UNAUTHENTICATED"}})
    assert type(outcome(provider)) is Misconfigured
    assert fcm.grants == 2


def test_results_survive_when_no_second_access_token_is_to_be_had(provider: FcmProvider, fcm: FcmStandIn) -> None:
    fcm.tokens["refused"] = answer(401, {"error": {"status": "UNAUTHENTICATED"}})
    outcome(provider)
    fcm.grant_script.append(answer(503, b""))
    good, refused = provider.send(PUSH, ["good", "refused"])
    assert isinstance(good, Receipt)
    assert type(refused) is Transient


@pytest.mark.parametrize(
    ("behaviour", "kind", "code"),
    [
        (answer(400, {"error": "invalid_grant"}), Misconfigured, "invalid_grant"),
        (answer(401, {"error": "invalid_client"}), Misconfigured, "invalid_client"),
        (answer(404, b"<html>"), Misconfigured, "404"),
        (answer(429, b"", headers={"Retry-After": "5"}), RateLimited, "429"),
        (answer(503, b""), Transient, "503"),
        (answer(200, b"<html>"), Transient, "200"),
        (answer(200, {"access_token": "t"}), Transient, "200"),
    ],
)
def test_no_access_token_is_the_channels_trouble(
    provider: FcmProvider, fcm: FcmStandIn, behaviour: Behaviour, kind: type[ProviderError], code: str
) -> None:
    fcm.grant_script.append(behaviour)
    with pytest.raises(ProviderError) as caught:
        outcome(provider)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert isinstance(outcome(provider), Receipt)


def test_a_grant_without_an_answer_is_transient_as_no_message_was_sent(
    provider: FcmProvider, fcm: FcmStandIn
) -> None:
    fcm.grant_script.append(DROP)
    with pytest.raises(Transient):
        outcome(provider)


def test_those_who_wait_for_an_access_token_share_its_failure(
    fcm: FcmStandIn, authority: Authority, tmp_path: Path
) -> None:
    def attempt(provider: FcmProvider) -> type:
        try:
            return type(outcome(provider))
        except ProviderError as error:
            return type(error)

    fcm.grant_script.append(HANG)
    with connect(fcm, authority, tmp_path, timeout=2) as provider, ThreadPoolExecutor(8) as pool:
        kinds = list(pool.map(attempt, [provider] * 8))
    assert kinds.count(Transient) >= 2  # one that came late may have tried again


def test_the_access_token_in_hand_bridges_a_failed_renewal(provider: FcmProvider, fcm: FcmStandIn) -> None:
    fcm.lifetime = 600
    outcome(provider)
    provider._access._renew_at = 0.0  # half of its life is over
    fcm.grant_script.append(answer(503, b""))
    assert isinstance(outcome(provider), Receipt)
    assert isinstance(outcome(provider), Receipt)
    assert fcm.grants == 1


def account(fcm: FcmStandIn, path: Path, **changes: object) -> Path:
    fcm.write_service_account(path)
    content = orjson.loads(path.read_bytes()) | changes
    path.write_bytes(orjson.dumps({key: value for key, value in content.items() if value is not None}))
    return path


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"project_id": None, "token_uri": ""}, "lacks project_id, token_uri"),
        ({"type": "authorized_user"}, "type"),
        ({"private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n"}, "private_key"),
        ({"token_uri": "file:///etc/passwd"}, "token_uri"),
    ],
)
def test_a_bad_service_account_is_named_without_its_key(
    fcm: FcmStandIn, tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    path = account(fcm, tmp_path / "account.json", **changes)
    with pytest.raises(Misconfigured, match=named) as caught:
        ServiceAccount.from_file(str(path))
    assert "BEGIN" not in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


def test_a_service_account_that_is_no_json_or_not_there_is_misconfigured(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="No such file"):
        ServiceAccount.from_file(str(tmp_path / "nowhere.json"))
    (tmp_path / "odd.json").write_text("-----BEGIN")
    with pytest.raises(Misconfigured, match="not JSON"):
        ServiceAccount.from_file(str(tmp_path / "odd.json"))


def test_another_accounts_key_gets_no_access_token(
    fcm: FcmStandIn, ledger: Ledger, authority: Authority, tmp_path: Path
) -> None:
    with FcmStandIn(ledger, authority) as stranger:
        path = account(stranger, tmp_path / "account.json", token_uri=f"{fcm.url}/token")
    http = HttpClient(ca_file=str(authority.ca_file))
    provider = FcmProvider(http, account=ServiceAccount.from_file(str(path)), base_url=fcm.url)
    with pytest.raises(Misconfigured, match="invalid_grant"):
        outcome(provider)
    provider.close()


def test_a_send_with_two_access_tokens_ends_within_its_timeout(
    fcm: FcmStandIn, authority: Authority, tmp_path: Path
) -> None:
    fcm.grant_script += [slow(1.2), HANG]
    fcm.tokens["token"] = answer(401, {"error": {"status": "UNAUTHENTICATED"}})
    with connect(fcm, authority, tmp_path, timeout=4) as provider:
        began = time.monotonic()
        assert type(outcome(provider)) is Transient
        assert time.monotonic() - began < 4


def test_a_late_access_token_leaves_the_push_unsent(
    fcm: FcmStandIn, ledger: Ledger, authority: Authority, tmp_path: Path
) -> None:
    fcm.grant_script.append(slow(2.5))
    with connect(fcm, authority, tmp_path, timeout=4) as provider, pytest.raises(Transient):
        outcome(provider)
    assert ledger.entries("push") == []


def test_nobody_waits_longer_for_an_access_token_because_another_does(
    fcm: FcmStandIn, authority: Authority, tmp_path: Path
) -> None:
    fcm.grant_script += [HANG] * 8
    with connect(fcm, authority, tmp_path, timeout=4) as provider, ThreadPoolExecutor(8) as pool:

        def seconds(number: int) -> float:
            time.sleep(number / 4)  # or all would share the first one's failure
            began = time.monotonic()
            with pytest.raises(Transient):
                outcome(provider)
            return time.monotonic() - began

        assert max(pool.map(seconds, range(8))) < 4
