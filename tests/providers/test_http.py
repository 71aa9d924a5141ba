"""The HTTP client against real servers: sharing connections, and telling what can have been sent."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from app.providers.http import HttpClient
from app.providers.http_exchange import MAX_BODY, HttpError, Response
from sandbox.standins.script import ACCEPT_THEN_DROP, HANG, answer, slow
from sandbox.standins.tls import Authority, issue
from tests.providers.echo import Echo
from tests.providers.http2_server import Refusal, RefusingServer
from tests.providers.http_bench import MakeClient, failure, post


def test_one_connection_serves_many_requests(echo: Echo, make: MakeClient) -> None:
    client = make()
    for number in range(50):
        body = str(number).encode()
        assert client.request(post(echo, body)).body == body
    assert len(echo.connections) == 1


def test_many_threads_share_a_few_connections(echo: Echo, make: MakeClient) -> None:
    client = make(connections=4)

    def work(thread: int) -> None:
        for number in range(50):
            body = f"{thread}/{number}".encode()
            assert client.request(post(echo, body)).body == body

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(echo.bodies) == 400
    assert len(echo.connections) <= 4


def test_a_thousand_at_once_are_answered_in_order(echo: Echo, make: MakeClient) -> None:
    bodies = [str(number).encode() for number in range(1000)]
    answers = make(connections=4, timeout=60).request_many([post(echo, body) for body in bodies])
    assert [one.body for one in answers if isinstance(one, Response)] == bodies
    assert len(echo.connections) <= 4


def test_a_request_that_can_t_be_made_is_an_error_and_holds_up_nobody(echo: Echo, make: MakeClient) -> None:
    client = make()
    error = failure(client, post(f"{echo.url}/envoyé"))  # libcurl's binding takes ASCII alone
    assert (error.sent, error.misconfigured) == (False, True)
    assert client.request(post(echo)).body == b"hello"


def test_a_refused_connection_was_not_sent(make: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    error = failure(make(), post(url))
    assert (error.sent, error.misconfigured) == (False, False)


def test_a_silent_handshake_ends_at_the_connect_timeout_and_was_not_sent(make: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        start = time.monotonic()
        error = failure(
            make(connect_timeout=0.3, timeout=600), post(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        )
    assert (error.sent, error.misconfigured) == (False, False)
    assert time.monotonic() - start < 300


def test_an_unknown_authority_or_a_bad_url_is_a_setting(
    authority: Authority, make: MakeClient, tmp_path: Path
) -> None:
    with Echo(issue(tmp_path)) as stranger, Echo(authority) as known:
        client = make()
        assert client.request(post(known)).status == 200
        assert failure(client, post(stranger)).misconfigured
        assert failure(client, post("ftp://127.0.0.1/")).misconfigured
        assert failure(client, post("http://")).misconfigured
    assert stranger.bodies == []


def test_a_hanging_server_counts_as_sent(echo: Echo, make: MakeClient) -> None:
    echo.script.append(HANG)
    error = failure(make(timeout=2), post(echo))
    assert (error.sent, error.misconfigured) == (True, False)


def keep_a_connection(client: HttpClient, echo: Echo) -> None:
    """Of tries soon after a cut one in thirty may still meet the cut connection, and is rightly taken for sent."""
    for _ in range(3):
        [answer] = client.request_many([post(echo, b"next")])
        if isinstance(answer, Response):
            return
        assert answer.sent
    raise AssertionError(f"no connection after a cut one: {answer}")


def test_a_post_whose_answer_was_lost_is_never_repeated(echo: Echo, make: MakeClient) -> None:
    client = make()
    for number in range(5):
        keep_a_connection(client, echo)
        echo.script.append(ACCEPT_THEN_DROP)
        assert failure(client, post(echo, f"lost {number}".encode())).sent
    lost = [body for body in echo.bodies if body.startswith(b"lost")]
    assert lost == [f"lost {number}".encode() for number in range(5)]


def test_only_what_may_be_repeated_is(echo: Echo, make: MakeClient) -> None:
    client = make()
    for number in range(5):
        keep_a_connection(client, echo)
        echo.script.append(ACCEPT_THEN_DROP)
        again, once = f"again {number}".encode(), f"once {number}".encode()
        twice = client.request(post(echo, again, repeatable=True))
        assert (twice.body, twice.repeated) == (again, True)
        echo.script.append(ACCEPT_THEN_DROP)
        assert failure(client, post(echo, once)).sent  # by the same handle
        assert (echo.bodies.count(again), echo.bodies.count(once)) == (2, 1)


def test_nothing_of_a_request_is_left_for_the_next(echo: Echo, make: MakeClient) -> None:
    client = make()
    bare = client.request(post(f"{echo.url}headers"))
    client.request(post(f"{echo.url}headers", b"of another length", Authorization="secret"))
    assert client.request(post(f"{echo.url}headers")).json() == bare.json()
    assert "authorization" not in bare.json()
    assert not client.request(post(echo)).repeated


@pytest.mark.parametrize("refusal", ["goaway", "goaway and close", "refused stream"])
@pytest.mark.parametrize("warm", [True, False])
def test_what_the_server_declared_untouched_goes_out_again(
    authority: Authority, make: MakeClient, refusal: Refusal, warm: bool
) -> None:
    with RefusingServer(authority, refusal) as server:
        client = make()
        if warm:
            client.request(post(server, b"first"))
        server.refuse.add(b"hello")
        assert client.request(post(server)).status == 200
        assert server.bodies.count(b"hello") == 2


def test_a_connection_that_idled_away_is_replaced(echo: Echo, make: MakeClient) -> None:
    client = make()
    client.request(post(echo))
    echo.stop()
    echo.start()
    time.sleep(1.5)  # libcurl trusts a connection that it used within the last second
    assert client.request(post(echo)).status == 200


def test_what_found_no_connection_was_not_sent(make: MakeClient) -> None:
    with Echo() as server:
        server.script.append(HANG)
        answers = make(connections=1, timeout=2).request_many([post(server), post(server)])
    assert sorted(one.sent for one in answers if isinstance(one, HttpError)) == [False, True]
    assert len(server.bodies) == 1


def test_what_found_a_connection_too_late_was_not_sent(make: MakeClient) -> None:
    with Echo() as server:
        server.script.append(slow(3))
        first, second = make(connections=1, timeout=5).request_many([post(server), post(server)])
    assert isinstance(first, Response)
    assert isinstance(second, HttpError)
    assert (second.sent, str(second)) == (False, "no free connection in time")
    assert len(server.bodies) == 1


def test_what_found_no_stream_was_not_sent(authority: Authority, make: MakeClient) -> None:
    with Echo(authority) as server:
        server.script.extend([HANG] * 150)
        answers = make(connections=1, timeout=3).request_many([post(server)] * 150)
    sent = [one for one in answers if isinstance(one, HttpError) and one.sent]
    assert len(server.bodies) == len(sent) <= 100
    assert len(answers) == 150


@pytest.mark.parametrize(("given", "wait"), [("7", 7), ("0", None), ("soon", None)])
def test_retry_after_in_seconds(echo: Echo, make: MakeClient, given: str, wait: float | None) -> None:
    echo.script.append(answer(503, b"", headers={"Retry-After": given}))
    assert make().request(post(echo)).retry_after == wait


def test_retry_after_as_a_date(echo: Echo, make: MakeClient) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    echo.script.append(answer(503, b"", headers={"Retry-After": date}))
    wait = make().request(post(echo)).retry_after
    assert wait is not None
    assert 3600 < wait <= 7200


def test_a_redirect_is_not_followed(echo: Echo, make: MakeClient) -> None:
    echo.script.append(answer(307, b"", headers={"Location": echo.url}))
    assert make().request(post(echo)).status == 307
    assert len(echo.bodies) == 1


def test_an_endless_answer_is_cut(echo: Echo, make: MakeClient) -> None:
    echo.script.append(answer(200, b"x" * MAX_BODY))
    echo.script.append(answer(200, b"x" * (MAX_BODY + 1)))
    client = make()
    assert len(client.request(post(echo)).body) == MAX_BODY
    error = failure(client, post(echo))
    assert error.sent
    assert "longer" in str(error)


def test_the_environments_proxy_is_not_used(echo: Echo, make: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    assert make().request(post(echo)).status == 200
