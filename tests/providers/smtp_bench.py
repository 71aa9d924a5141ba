"""A mail server of the sandbox with an SMTP provider in front of it, for the tests of both."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from app.providers.base import Email, Receipt
from app.providers.errors import ProviderError
from app.providers.smtp import SmtpProvider
from app.providers.smtp_login import Server
from app.providers.smtp_session import SmtpSession
from sandbox.standins.ledger import Ledger
from sandbox.standins.smtp import SmtpStandIn
from sandbox.standins.tls import Authority

ADDRESS = "passenger@mail.example"
USER = "pafar"
PASSWORD = "s3cret"


def email(number: int = 1, **changes: Any) -> Email:
    """A small message whose reference ends in `number`."""
    fields = {"to": ADDRESS, "subject": "Your seat", "text": "Seat 4A", "html": "<p>Seat 4A</p>", **changes}
    return Email(reference=f"0192e4c0-{number:04}", **fields)


#: What servers offer, and so the ways in which a message can go.
CHUNKED = ("PIPELINING", "CHUNKING", "8BITMIME")
PIPELINED = ("PIPELINING", "8BITMIME")
ONE_BY_ONE = ()


def at_once(provider: SmtpProvider, messages: Sequence[Email]) -> list[Receipt | ProviderError]:
    """What came of each, sent by a thread each."""

    def outcome(message: Email) -> Receipt | ProviderError:
        try:
            return provider.send(message)
        except ProviderError as error:
            return error

    with ThreadPoolExecutor(len(messages)) as threads:
        return list(threads.map(outcome, messages))


def plain_session(port: int, *, user: str | None = None, timeout: float = 30.0) -> SmtpSession:
    """A session without TLS, for what a provider's own messages never hold."""
    server = Server(
        host="127.0.0.1",
        port=port,
        security="none",
        tls=ssl.create_default_context(),
        user=user,
        password=PASSWORD,
        ehlo_name="pafar.example",
        connect_timeout=timeout,
        timeout=timeout,
    )
    return SmtpSession(server, time.monotonic() + 60)


class SmtpBench(ExitStack):
    """Starts what a test asks for, and ends it with the test."""

    def __init__(self, authority: Authority) -> None:
        super().__init__()
        self.authority = authority
        self.ledger = Ledger()

    def serve(self, **options: Any) -> SmtpStandIn:
        """A stand-in that runs."""
        standin = SmtpStandIn(self.ledger, self.authority, user=USER, password=PASSWORD, **options)
        return self.enter_context(standin)

    def connect(self, port: int, **options: Any) -> SmtpProvider:
        """A provider for a stand-in at `port`, with the settings that fit it unless told otherwise."""
        settings = {
            "host": "127.0.0.1",
            "security": "starttls",
            "user": USER,
            "password": PASSWORD,
            "sender": "Pafar Otobüs <no-reply@pafar.example>",
            "ca_file": str(self.authority.ca_file),
            **options,
        }
        provider = SmtpProvider(port=port, **settings)
        self.callback(provider.close)
        return provider

    def arrived(self) -> list[tuple[str, list[str]]]:
        """Message-ID and recipients of each message that arrived."""
        return [(entry["message_id"], entry["to"]) for entry in self.ledger.entries("email")]

    def sessions(self) -> list[int]:
        """For each message that arrived, the number of the connection it came by."""
        return [entry["session"] for entry in self.ledger.entries("email")]
