"""The SMTP client against servers too odd for the stand-in, and what it puts on the wire."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from app.providers.errors import InvalidRecipient, Misconfigured, OutcomeUnknown, Transient
from app.providers.smtp import SmtpProvider
from tests.providers.smtp_bench import email, plain_session

Talk = Callable[[socket.socket], None]


class OddServer:
    """Lets `talk` speak on each connection, one after the other."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(10)
                with connection, suppress(OSError):
                    self._talk(connection)

    def close(self) -> None:
        # close() alone leaves a thread waiting in accept()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@contextmanager
def provider_for(talk: Talk, **options: Any) -> Iterator[SmtpProvider]:
    server = OddServer(talk)
    settings: dict[str, Any] = {"security": "none", "user": None, "password": None, "timeout": 5.0, **options}
    provider = SmtpProvider(
        host="127.0.0.1", port=server.port, sender="no-reply@pafar.example", ca_file=None, **settings
    )
    try:
        yield provider
    finally:
        provider.close()
        server.close()


def dialogue(heard: list[bytes], *answers: bytes) -> Talk:
    """Greets, then gives the next answer to whatever is heard in one read."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220 odd\r\n")
        for answer in answers:
            heard.append(connection.recv(65536))
            connection.sendall(answer)
        while chunk := connection.recv(65536):
            heard.append(chunk)

    return talk


EHLO = b"EHLO pafar.example\r\n"


def test_mail_rcpt_and_data_leave_in_one_write_where_pipelining_is_announced() -> None:
    heard: list[bytes] = []
    talk = dialogue(
        heard, b"250-odd\r\n250 PIPELINING\r\n", b"250 a\r\n250 b\r\n354 c\r\n", b"250 queued as 7\r\n"
    )
    with provider_for(talk) as provider:
        assert provider.send(email()).provider_id == "7"
    assert heard[:2] == [
        EHLO,
        b"MAIL FROM:<no-reply@pafar.example>\r\nRCPT TO:<passenger@mail.example>\r\nDATA\r\n",
    ]
    assert heard[2].endswith(b"\r\n.\r\n")
    assert heard[3] == b"QUIT\r\n"


def test_commands_go_one_by_one_where_it_is_not() -> None:
    heard: list[bytes] = []
    talk = dialogue(heard, b"250 odd\r\n", b"250 a\r\n", b"250 b\r\n", b"354 c\r\n", b"250 queued as 7\r\n")
    with provider_for(talk) as provider:
        provider.send(email())
    assert heard[1:4] == [
        b"MAIL FROM:<no-reply@pafar.example>\r\n",
        b"RCPT TO:<passenger@mail.example>\r\n",
        b"DATA\r\n",
    ]


def test_a_354_after_a_refused_recipient_gets_the_dot_alone() -> None:
    heard: list[bytes] = []
    talk = dialogue(
        heard,
        b"250-odd\r\n250 PIPELINING\r\n",
        b"250 a\r\n550 5.1.1 b\r\n354 c\r\n",
        b"554 5.5.1 no valid recipients\r\n",
        b"250 d\r\n250 e\r\n250 f\r\n354 g\r\n",
        b"250 queued as 7\r\n",
    )
    with provider_for(talk) as provider:
        with pytest.raises(InvalidRecipient):
            provider.send(email())
        assert provider.send(email()).provider_id == "7"
    assert heard[2] == b".\r\n"
    assert heard[3].startswith(b"RSET\r\nMAIL FROM:")


def test_a_whole_message_leaves_in_one_write_where_chunking_is_announced_too() -> None:
    heard: list[bytes] = []
    refused = b"250 a\r\n550 5.1.1 b\r\n503 5.5.1 c\r\n"
    accepted = b"250 d\r\n250 e\r\n250 f\r\n250 queued as 7\r\n"
    talk = dialogue(heard, b"250-odd\r\n250-CHUNKING\r\n250 PIPELINING\r\n", refused, accepted)
    with provider_for(talk) as provider:
        with pytest.raises(InvalidRecipient):
            provider.send(email(text="a\n.\nb"))
        assert provider.send(email(text="a\n.\nb")).provider_id == "7"
    envelope = b"MAIL FROM:<no-reply@pafar.example>\r\nRCPT TO:<passenger@mail.example>\r\nBDAT "
    for group, beginning in ((heard[1], envelope), (heard[2], b"RSET\r\n" + envelope)):
        assert group.startswith(beginning)
        size, _, content = group.removeprefix(beginning).partition(b" LAST\r\n")
        assert int(size) == len(content)
        assert b"Message-ID" in content
    assert heard[3] == b"QUIT\r\n"


def test_chunking_alone_is_not_used() -> None:
    heard: list[bytes] = []
    answers = (b"250 a\r\n", b"250 b\r\n", b"354 c\r\n", b"250 queued as 7\r\n")
    with provider_for(dialogue(heard, b"250-odd\r\n250 CHUNKING\r\n", *answers)) as provider:
        assert provider.send(email()).provider_id == "7"
    assert heard[3] == b"DATA\r\n"


@pytest.mark.parametrize(
    ("greeting", "after_starttls"),
    [
        (b"250-odd\r\n250 AUTH PLAIN LOGIN\r\n", ()),
        (b"250-odd\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n", (b"220 go\r\n250-odd\r\n250 AUTH PLAIN\r\n",)),
        (b"250-odd\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n", (b"502 5.5.1 no\r\n",)),
        (b"250-odd\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n", (b"220 go\r\n", b"no TLS at all\r\n")),
    ],
    ids=["not offered", "answers smuggled in", "refused", "no handshake"],
)
def test_nothing_is_said_in_the_clear_where_tls_should_be(
    greeting: bytes, after_starttls: tuple[bytes, ...]
) -> None:
    heard: list[bytes] = []
    talk = dialogue(heard, greeting, *after_starttls)
    with (
        provider_for(talk, security="starttls", user="pafar", password="s3cret") as provider,
        pytest.raises(Misconfigured),
    ):
        provider.send(email())
    assert heard[:2] in ([EHLO], [EHLO, b"STARTTLS\r\n"])
    assert not any(word in b"".join(heard).upper() for word in (b"AUTH", b"MAIL", b"PAFAR@"))


def trickle(connection: socket.socket) -> None:
    connection.settimeout(0.05)
    hung_up = False
    while not hung_up:
        connection.sendall(b"2")
        with suppress(TimeoutError):
            hung_up = connection.recv(65536) == b""


@pytest.mark.parametrize(
    ("talk", "complaint"),
    [
        (lambda connection: None, "closed"),
        (lambda connection: connection.sendall(b"2" * 10_000_000), "octets"),
        (lambda connection: connection.sendall(b"220-more\r\n" * 100_000), "lines"),
        (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"), "not SMTP"),
        (lambda connection: connection.sendall(b"\x00\xff\r\n"), "not SMTP"),
        (lambda connection: connection.sendall(b"421 4.3.2 not now\r\n"), "greeting with 421"),
    ],
    ids=["closes", "endless line", "endless reply", "SSH", "noise", "421"],
)
def test_a_server_that_does_not_speak_smtp_is_transient(talk: Talk, complaint: str) -> None:
    with provider_for(talk) as provider, pytest.raises(Transient, match=complaint):
        provider.send(email())


@pytest.mark.parametrize(
    "talk", [trickle, lambda connection: connection.recv(1)], ids=["a byte at a time", "silent"]
)
def test_a_slow_server_has_until_the_deadline(talk: Talk) -> None:
    with provider_for(talk, deadline=0.5) as provider, pytest.raises(Transient, match=r"deadline|timed out"):
        provider.send(email())


def test_nonsense_after_the_final_dot_is_unknown() -> None:
    heard: list[bytes] = []
    talk = dialogue(heard, b"250 odd\r\n", b"250 a\r\n", b"250 b\r\n", b"354 c\r\n", b"hello\r\n")
    with provider_for(talk) as provider, pytest.raises(OutcomeUnknown):
        provider.send(email())


@pytest.mark.parametrize("stays", [True, False], ids=["stops reading", "cuts the connection"])
def test_a_message_cut_short_was_not_sent(stays: bool) -> None:
    given_up = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220 odd\r\n")
        for answer in (b"250 odd\r\n", b"250 a\r\n", b"250 b\r\n", b"354 c\r\n"):
            connection.recv(65536)
            connection.sendall(answer)
        if stays:
            given_up.wait(60)

    server = OddServer(talk)
    session = plain_session(server.port, timeout=2.0)
    more_than_buffers_hold = (b"x" * 998 + b"\r\n") * 30_000
    with pytest.raises(OSError):
        session.send("a@pafar.example", "b@mail.example", more_than_buffers_hold, time.monotonic() + 60)
    assert not session.healthy
    session.close()
    given_up.set()
    server.close()
