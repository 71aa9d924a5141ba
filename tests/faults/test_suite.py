"""The suite's own instruments: a proxy that hurts, a search that finds, and judges that see what is wrong."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.ports import free_port
from tests.faults import canaries, invariants
from tests.faults.ledger import Acceptance, Story, join
from tests.faults.proxy import HOST, FaultProxy

NOW = datetime.now(UTC)


# -- The proxy -------------------------------------------------------------------------------------------


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that says everything again: its port."""
    with socket.create_server((HOST, free_port())) as server:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_repeat, args=(client,), daemon=True).start()


def _repeat(client: socket.socket) -> None:
    with client:
        try:
            while said := client.recv(65536):
                client.sendall(said)
        except OSError:
            return


@pytest.fixture
def proxy(echo: int) -> Iterator[FaultProxy]:
    with FaultProxy(echo) as between:
        yield between


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, proxy.port), timeout=30) as connection:
        yield connection


def ask(client: socket.socket, said: bytes) -> bytes:
    client.sendall(said)
    return _read(client, len(said))


def _read(client: socket.socket, count: int) -> bytes:
    heard = b""
    while len(heard) < count and (part := client.recv(65536)):
        heard += part
    return heard


def test_with_no_fault_everything_passes(client: socket.socket) -> None:
    said = bytes(range(256)) * 4096
    threading.Thread(target=client.sendall, args=(said,)).start()
    assert _read(client, len(said)) == said


def test_a_delay_is_felt_in_each_direction_and_keeps_the_order(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.delay(0.1)
    began = time.monotonic()
    for part in (b"one ", b"two ", b"three"):
        client.sendall(part)
    assert _read(client, 13) == b"one two three"
    assert time.monotonic() - began >= 0.2


def test_silence_holds_back_what_then_goes_on(proxy: FaultProxy, client: socket.socket) -> None:
    assert ask(client, b"before") == b"before"
    proxy.silence()
    client.sendall(b"held")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(1)
    with socket.create_connection((HOST, proxy.port), timeout=0.3) as other, pytest.raises(TimeoutError):
        ask(other, b"new connections too")
    proxy.heal()
    client.settimeout(30)
    assert client.recv(16) == b"held"


def test_a_reset_ends_open_connections_and_serves_new_ones(proxy: FaultProxy, client: socket.socket) -> None:
    ask(client, b"open")
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with socket.create_connection((HOST, proxy.port), timeout=30) as other:
        assert ask(other, b"new") == b"new"


def test_a_cut_lets_so_many_bytes_through_and_happens_once(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.cut_after(5, "to_client")
    client.sendall(b"0123456789")
    assert client.recv(16) == b"01234"
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with socket.create_connection((HOST, proxy.port), timeout=30) as other:
        assert ask(other, b"whole again") == b"whole again"


def test_refused_until_healed(proxy: FaultProxy, client: socket.socket) -> None:
    ask(client, b"open")
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, proxy.port), timeout=30)
    proxy.heal()
    with socket.create_connection((HOST, proxy.port), timeout=30) as other:
        assert ask(other, b"back") == b"back"


def test_a_server_that_is_not_there_is_a_reset() -> None:
    with (
        FaultProxy(free_port()) as proxy,
        pytest.raises(ConnectionResetError),
        socket.create_connection((HOST, proxy.port), timeout=30) as client,
    ):
        client.recv(1)


# -- Canaries --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["Ada Obi", "2348031234567", "ada@example.com", "Zoë/+?"])
def test_a_secret_is_found_in_every_form_at_every_place(secret: str) -> None:
    raw = secret.encode()
    hidden = [raw, raw.hex().encode(), b"to=" + secret.replace("@", "%40").encode()]
    hidden += [base64.b64encode(b"." * before + raw + b"." * after) for before in range(5) for after in range(4)]
    for content in hidden:
        assert canaries.leaks({"it": secret}, {"there": b"<" + content + b">"}), content
    assert not canaries.leaks({"it": secret}, {"there": base64.b64encode(raw[::-1])})


def test_a_short_code_within_a_number_or_an_id_is_chance() -> None:
    code = {"the code": "8206519"}
    assert not canaries.leaks(code, {"log": b"at 1763930411.8206519, 18206519, 4c8206519a"})
    assert not canaries.leaks(code, {"event": base64.b64encode(b'{"timestamp": 1763930411.8206519}')})
    for told in b'{"otp_code": "8206519"}', b'1{"otp_code": "8206519"}', b"38206519"[1:]:
        for form in told, base64.b64encode(told), base64.urlsafe_b64encode(told), told.hex().encode():
            assert canaries.leaks(code, {"log": b"x " + form + b"."}), form


# -- Ledgers and judges ----------------------------------------------------------------------------------


class Results:
    """A result backend's client that has these states."""

    def __init__(self, **states: str) -> None:
        self._kept = {f"celery-task-meta-{id_}": f'{{"status": "{state}"}}' for id_, state in states.items()}

    def mget(self, keys: list[str]) -> list[str | None]:
        return [self._kept.get(key) for key in keys]


def story(*accepted: float, result: str | None = None, **row: Any) -> Story:
    usual = {
        "status": "sent",
        "attempt": 1,
        "unknown_attempts": 0,
        "reason": None,
        "kind": "booking_confirmation_sms",
        "subject": None,
        "revision": None,
        "valid_until": NOW + timedelta(hours=1),
        "finished_at": NOW,
    }
    return Story("a", usual | row, [Acceptance(at, "somebody") for at in accepted], result)


def test_each_provider_s_reference_joins_its_acceptance_to_the_message() -> None:
    entries: list[dict[str, Any]] = [
        {"channel": "email", "at": 1.0, "message_id": "<a@pafar.test>", "to": ["x"]},
        {"channel": "sms", "at": 2.0, "reference": "b", "to": "y"},
        {"channel": "push", "at": 3.0, "data": {"nid": "c"}, "token": "one"},
        {"channel": "push", "at": 4.0, "data": {"nid": "c"}, "token": "two"},
        {"channel": "push", "at": 5.0, "data": {"nid": "c"}, "token": "two"},
    ]
    a, b, c, d = join(["a", "b", "c", "d"], {"a": {"status": "sent"}}, entries, Results(a="SUCCESS"))
    assert (a.copies, a.result, a.row) == (1, "SUCCESS", {"status": "sent"})
    assert (b.copies, b.result, b.row) == (1, None, None)
    assert (c.copies, len(c.accepted)) == (2, 3)  # one phone got it twice
    assert d.copies == 0


@pytest.mark.parametrize(
    ("bad", "to_do"),
    [
        (story(status="queued"), set()),
        (story(), set()),  # sent, and accepted by nobody
        (story(status="failed"), set()),  # no reason
        (story(1.0), {"a"}),  # final, and still to do
        (Story("a", None, (), None), set()),
    ],
)
def test_a_loss_is_seen(bad: Story, to_do: set[str]) -> None:
    assert [breach.rule for breach in invariants.nothing_lost([bad], to_do)] == ["I1"]


def test_what_is_accepted_or_final_with_a_reason_is_no_loss() -> None:
    well = [story(1.0), story(status="skipped", reason="expired"), story(status="failed", reason="Rejected")]
    assert not invariants.nothing_lost(well, set())


def test_a_copy_is_allowed_only_for_an_unknown_attempt_where_one_may_be() -> None:
    twice, known = story(1.0, 2.0, unknown_attempts=1), story(1.0, 2.0)
    assert not invariants.nothing_twice([twice], copies=2)
    assert invariants.nothing_twice([twice], copies=1)
    assert invariants.nothing_twice([known], copies=2)
    thrice = story(1.0, 2.0, 3.0, unknown_attempts=2)
    assert [bool(invariants.nothing_twice([thrice], copies=most)) for most in (2, 3)] == [True, False]


def test_what_comes_late_or_in_the_wrong_order_is_seen() -> None:
    late = story(NOW.timestamp(), valid_until=NOW - timedelta(seconds=1))
    code = story(1.0, 2.0, kind="otp_sms", unknown_attempts=1)
    older, newer = story(3.0, subject="trip", revision=1), story(2.0, subject="trip", revision=2)
    for wrong in ([late], [code], [older, newer]):
        assert [breach.rule for breach in invariants.nothing_late(wrong)] == ["I3"]
    assert not invariants.nothing_late([story(1.0, subject="trip", revision=1), newer])


def test_a_result_that_contradicts_the_row_is_seen() -> None:
    assert invariants.states_agree([story(1.0, result="FAILURE")])
    assert not invariants.states_agree([story(1.0, result="SUCCESS"), story(1.0), story(1.0, result="RETRY")])
