"""The start of an SMTP session: connect, TLS, EHLO, login.

RFC 5321, and of its extensions 3207 (STARTTLS) and 4954 (AUTH).
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Literal

from app.providers.errors import Misconfigured
from app.providers.smtp_wire import Reply, Wire

Security = Literal["starttls", "tls", "none"]
Stage = Literal["greeting", "EHLO", "STARTTLS", "AUTH", "RSET", "MAIL", "RCPT", "DATA", "message"]


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


def log_in(server: Server, deadline: float) -> tuple[Wire, dict[str, str]]:
    """A connection that is ready for mail before `deadline`, and what the server announced: keyword, parameters.

    Raises Refused, Misconfigured (encryption, certificate, no login to use) and OSError.
    """
    wire = Wire(
        server.host,
        server.port,
        connect_timeout=server.connect_timeout,
        timeout=server.timeout,
        deadline=deadline,
    )
    try:
        return wire, _Opening(wire, server, deadline).extensions
    except BaseException:
        wire.close()
        raise


class _Opening:
    """The dialogue, one command at a time."""

    def __init__(self, wire: Wire, server: Server, deadline: float) -> None:
        self.extensions: dict[str, str] = {}
        self._wire = wire
        self._deadline = deadline
        if server.security == "tls":
            wire.encrypt(server.tls, deadline)
        self._expect("greeting", 2)
        self._greet(server.ehlo_name)
        if server.security == "starttls":
            if "STARTTLS" not in self.extensions:
                raise Misconfigured("security: starttls is set, but the SMTP server does not offer it")
            self._command("STARTTLS", "STARTTLS", 2)
            wire.encrypt(server.tls, deadline)
            self._greet(server.ehlo_name)  # what was announced in the clear counts no more (RFC 3207 4.2)
        if server.user is not None:
            self._authenticate(server.user, server.password)

    def _greet(self, name: str) -> None:
        lines = self._command("EHLO", f"EHLO {name}", 2).lines[1:]
        announced = (line.upper().partition(" ") for line in lines)
        self.extensions = {keyword: parameters for keyword, _, parameters in announced}

    def _authenticate(self, user: str, password: str) -> None:
        mechanisms = self.extensions.get("AUTH", "").split()
        if "PLAIN" in mechanisms:
            self._command("AUTH", "AUTH PLAIN " + _base64("\0".join(("", user, password))), 2)
        elif "LOGIN" in mechanisms:
            self._command("AUTH", "AUTH LOGIN", 3)
            self._command("AUTH", _base64(user), 3)
            self._command("AUTH", _base64(password), 2)
        else:
            raise Misconfigured("user: the SMTP server offers neither AUTH PLAIN nor AUTH LOGIN")

    def _command(self, stage: Stage, line: str, expected: int) -> Reply:
        self._wire.write(f"{line}\r\n".encode(), self._deadline)
        return self._expect(stage, expected)

    def _expect(self, stage: Stage, expected: int) -> Reply:
        """Read a reply whose code begins with `expected`."""
        reply = self._wire.reply(self._deadline)
        if reply.code >= 400:
            raise Refused(stage, reply)
        if reply.code // 100 != expected:
            raise ConnectionError(f"an unexpected answer to {stage}: {reply.code}")
        return reply


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
