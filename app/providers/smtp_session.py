"""One SMTP session: TLS, EHLO, login, then message after message, by what the server announces.

RFC 5321, and of its extensions 3207 (STARTTLS), 4954 (AUTH), 2920 (PIPELINING), 1870 (SIZE), 6152 (8BITMIME),
6531 (SMTPUTF8).
"""

from __future__ import annotations

import re
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from app.providers.errors import InvalidRecipient, Misconfigured, OutcomeUnknown, Rejected
from app.providers.smtp_wire import Reply, Wire

Security = Literal["starttls", "tls", "none"]
Stage = Literal["greeting", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "message"]

_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a session goes and how. Timeouts in seconds: of one connection attempt, of one read or write."""

    host: str
    port: int
    security: Security
    tls: ssl.SSLContext
    user: str | None
    password: str = field(repr=False)
    ehlo_name: str
    connect_timeout: float
    timeout: float


class Refused(Exception):
    """The server answered `stage` with 4yz or 5yz."""

    def __init__(self, stage: Stage, reply: Reply) -> None:
        super().__init__(f"{stage}: {reply.status}")
        self.stage = stage
        self.reply = reply


class StaleSession(Exception):
    """The server had closed a kept session before it answered this message's MAIL: nothing was sent."""


class SmtpSession:
    """A connection that is logged in, used by one thread at a time.

    `healthy`: in a known state, fit for the next message; `messages`: how many were begun on it; `opened` and
    `used`: `time.monotonic()` of its start and of its last use.
    """

    def __init__(self, server: Server, deadline: float) -> None:
        """Connect and log in before `deadline` (`time.monotonic()`).

        Raises Refused, Misconfigured (encryption, certificate, no login to use) and OSError.
        """
        self.healthy = False
        self.messages = 0
        self.opened = self.used = time.monotonic()
        self._extensions: dict[str, str] = {}
        self._wire = Wire(
            server.host,
            server.port,
            connect_timeout=server.connect_timeout,
            timeout=server.timeout,
            deadline=deadline,
        )
        try:
            self._open(server)
        except BaseException:
            self._wire.close()
            raise
        self.healthy = True

    def send(self, mail_from: str, to: str, content: bytes, deadline: float) -> Reply:
        """Hand over `content` (CRLF lines) to one recipient; returns the final reply.

        Raises Refused, StaleSession, OutcomeUnknown (no answer after the final dot), Rejected and
        InvalidRecipient (the server's extensions rule the message out), OSError (lost before the final dot).
        """
        commands = self._commands(mail_from, to, content)
        self._wire.deadline = deadline
        self.messages += 1
        self.healthy = False
        try:
            self._begin(commands)
            self._wire.write(_LEADING_DOT.sub(b"..", content) + b".\r\n")
            return self._finish()
        finally:
            self.used = time.monotonic()

    def close(self) -> None:
        """End the session, with QUIT if it is in a state to hear it."""
        self._wire.close(farewell=b"QUIT\r\n" if self.healthy else b"")
        self.healthy = False

    def abandon(self) -> None:
        """Let go of the connection without a word: another process still speaks on it."""
        self.healthy = False
        self._wire.close()

    def _open(self, server: Server) -> None:
        if server.security == "tls":
            self._wire.encrypt(server.tls)
        self._expect("greeting", 2)
        self._greet(server.ehlo_name)
        if server.security == "starttls":
            if "STARTTLS" not in self._extensions:
                raise Misconfigured("security: starttls is set, but the SMTP server does not offer it")
            self._command("STARTTLS", "STARTTLS", 2)
            self._wire.encrypt(server.tls)
            self._greet(server.ehlo_name)  # what was announced in the clear counts no more (RFC 3207 4.2)
        if server.user is not None:
            self._login(server.user, server.password)

    def _greet(self, name: str) -> None:
        lines = self._command("EHLO", f"EHLO {name}", 2).lines[1:]
        announced = (line.upper().partition(" ") for line in lines)
        self._extensions = {keyword: parameters for keyword, _, parameters in announced}

    def _login(self, user: str, password: str) -> None:
        mechanisms = self._extensions.get("AUTH", "").split()
        if "PLAIN" in mechanisms:
            self._command("AUTH", "AUTH PLAIN " + _base64("\0".join(("", user, password))), 2)
        elif "LOGIN" in mechanisms:
            self._command("AUTH", "AUTH LOGIN", 3)
            self._command("AUTH", _base64(user), 3)
            self._command("AUTH", _base64(password), 2)
        else:
            raise Misconfigured("user: the SMTP server offers neither AUTH PLAIN nor AUTH LOGIN")

    def _commands(self, mail_from: str, to: str, content: bytes) -> dict[Stage, str]:
        limit = self._extensions.get("SIZE", "")
        if limit.isdecimal() and 0 < int(limit) < len(content):  # a SIZE of 0 is no limit
            raise Rejected(f"message: {len(content)} octets, the SMTP server takes {limit}")
        if not to.isascii() and "SMTPUTF8" not in self._extensions:
            raise InvalidRecipient("to: the local part is not ASCII and the SMTP server has no SMTPUTF8")
        size = f" SIZE={len(content)}" if "SIZE" in self._extensions else ""
        body = " BODY=8BITMIME" if "8BITMIME" in self._extensions and not content.isascii() else ""
        utf8 = "" if to.isascii() else " SMTPUTF8"
        return {"MAIL": f"MAIL FROM:<{mail_from}>{size}{body}{utf8}", "RCPT": f"RCPT TO:<{to}>", "DATA": "DATA"}

    def _begin(self, commands: dict[Stage, str]) -> None:
        """MAIL, RCPT and DATA, until the server asks for the message."""
        replies: dict[Stage, Reply] = {}
        kept = self.messages > 1
        try:
            for stage, reply in self._exchange(commands):
                replies[stage] = reply
        except OSError as error:
            if kept and not replies and not isinstance(error, TimeoutError):
                raise StaleSession from None
            raise
        refusal = next((Refused(stage, reply) for stage, reply in replies.items() if reply.code >= 400), None)
        if refusal is None and replies["DATA"].code != 354:
            raise ConnectionError("an unexpected answer to DATA")
        if refusal is None:
            return
        if kept and replies["MAIL"].code == 421:
            raise StaleSession
        # After a 354 the server waits for a message that must not come, after 421 for nothing at all.
        if not {354, 421} & {reply.code for reply in replies.values()}:
            self._reset()
        raise refusal

    def _exchange(self, commands: dict[Stage, str]) -> Iterator[tuple[Stage, Reply]]:
        """The replies, in order: all commands in one write where PIPELINING is announced, else one by one."""
        pipelining = "PIPELINING" in self._extensions
        if pipelining:
            self._wire.write("".join(f"{line}\r\n" for line in commands.values()).encode())
        for stage, line in commands.items():
            if not pipelining:
                self._wire.write(f"{line}\r\n".encode())
            reply = self._wire.reply()
            yield stage, reply
            if reply.code == 421 or (reply.code >= 400 and not pipelining):
                return

    def _finish(self) -> Reply:
        try:
            reply = self._expect("message", 2)
        except OSError:
            raise OutcomeUnknown("the SMTP server was sent the whole message and gave no answer") from None
        except Refused as refusal:
            self.healthy = refusal.reply.code != 421
            raise
        self.healthy = True
        return reply

    def _reset(self) -> None:
        with suppress(OSError):
            self._wire.write(b"RSET\r\n")
            self.healthy = self._wire.reply().code == 250

    def _command(self, stage: Stage, line: str, expected: int) -> Reply:
        self._wire.write(f"{line}\r\n".encode())
        return self._expect(stage, expected)

    def _expect(self, stage: Stage, expected: int) -> Reply:
        """Read a reply whose code begins with `expected`."""
        reply = self._wire.reply()
        if reply.code >= 400:
            raise Refused(stage, reply)
        if reply.code // 100 != expected:
            raise ConnectionError(f"an unexpected answer to {stage}: {reply.code}")
        return reply


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
