"""What the stand-in mail server says to one client, and what it can be told to do amiss."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aiosmtpd.smtp import SMTP, Envelope, Session

if TYPE_CHECKING:
    from sandbox.standins.smtp import SmtpStandIn

Stage = Literal["AUTH", "MAIL", "RCPT", "DATA", "message"]

# The library warns of its own internals at each login, and notes addresses at each command.
logging.getLogger("mail.log").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What to do, once, at one point of the dialogue; it waits at the head of the script for that point.

    At "message" (all of it has come) the message is taken first if `accept`. Then `delay` seconds of silence.
    Then `reply` ("451 4.7.1 later") is said in place of the usual answer, and the connection ends if `close`.
    With neither of these two, the dialogue goes on as usual. A BDAT is at "DATA" and at "message" in one.
    """

    at: Stage
    reply: str | None = None
    delay: float = 0.0
    accept: bool = False
    close: bool = False


class Connection(SMTP):
    """One client's dialogue with a stand-in."""

    def __init__(self, standin: SmtpStandIn, loop: asyncio.AbstractEventLoop) -> None:
        starttls = standin.security == "starttls"
        super().__init__(
            _Handler(standin),
            hostname="localhost",
            ident="ESMTP stand-in",
            data_size_limit=standin.max_size,
            enable_SMTPUTF8="SMTPUTF8" in standin.extensions,
            tls_context=standin.tls if starttls else None,
            require_starttls=starttls,
            auth_require_tls=starttls,
            auth_exclude_mechanism={"PLAIN", "LOGIN"} - set(standin.mechanisms),
            auth_callback=lambda _, user, password: (user, password) == standin.login,
            loop=loop,
        )
        self._standin = standin
        standin.connection_count += 1
        self._number = standin.connection_count

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._standin.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._standin.connections.discard(self)
        super().connection_lost(error)

    async def hang_up(self, reply: str | None) -> None:
        """End the connection, after saying `reply`."""
        if reply is not None:
            await self.push(reply)
        if isinstance(self.transport, asyncio.Transport):
            self.transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    async def smtp_AUTH(self, arg: str) -> None:
        if not await self._diverted("AUTH"):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:
        if self._standin.mechanisms and not (self.session and self.session.authenticated):
            await self.push("530 5.7.0 Authentication required")
        elif not await self._diverted("MAIL"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:
        if not await self._diverted("RCPT"):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:
        if not await self._diverted("DATA"):
            await super().smtp_DATA(arg)

    async def smtp_BDAT(self, arg: str | None) -> None:
        """The message in one chunk (RFC 3030), which is read whatever becomes of it."""
        size, _, last = (arg or "").partition(" ")
        if "CHUNKING" not in self._standin.extensions or not size.isdecimal() or last.upper() != "LAST":
            await self.push("501 5.5.4 Syntax: BDAT size LAST")
            return
        content = await self._reader.readexactly(int(size))
        if await self._diverted("DATA"):
            return
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        self.envelope.content = self.envelope.original_content = content
        reply = await self.answer(self.envelope)
        self.envelope = self._create_envelope()
        await self.push(reply)

    async def answer(self, envelope: Envelope) -> str:
        """Take the message, as the script has it, and say what its sender hears."""
        behaviour = self._next("message") or Behaviour(at="message", accept=True)
        usual = self._take(envelope) if behaviour.accept else None
        return await self._obey(behaviour) or usual or self._take(envelope)

    async def _diverted(self, at: Stage) -> bool:
        behaviour = self._next(at)
        reply = await self._obey(behaviour) if behaviour else None
        if reply is not None:
            await self.push(reply)
        return reply is not None

    def _next(self, at: Stage) -> Behaviour | None:
        script = self._standin.script
        return script.popleft() if script and script[0].at == at else None

    async def _obey(self, behaviour: Behaviour) -> str | None:
        await asyncio.sleep(behaviour.delay)
        if behaviour.close:
            await self.hang_up(behaviour.reply)
            raise asyncio.CancelledError  # the dialogue is over, as the library itself ends it
        return behaviour.reply

    def _take(self, envelope: Envelope) -> str:
        queue_id = secrets.token_hex(8)
        session = self.session
        self._standin.ledger.accept(
            "email",
            id=queue_id,
            sender=envelope.mail_from,
            to=envelope.rcpt_tos,
            tls=self.transport is not None and self.transport.get_extra_info("sslcontext") is not None,
            user=session.auth_data.login.decode() if session and session.auth_data else None,
            session=self._number,
            **self._standin.reader(envelope.original_content or b""),
        )
        return f"250 2.0.0 Ok: queued as {queue_id}"


class _Handler:
    """What the library asks of the one who uses it."""

    def __init__(self, standin: SmtpStandIn) -> None:
        self._standin = standin

    async def handle_EHLO(
        self, server: Connection, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if "8BITMIME" not in self._standin.extensions:
            responses.remove("250-8BITMIME")
        if not self._standin.mechanisms:
            responses = [line for line in responses if not line.startswith("250-AUTH")]
        own = [name for name in ("PIPELINING", "CHUNKING") if name in self._standin.extensions]
        return [responses[0], *(f"250-{name}" for name in own), *responses[1:]]

    async def handle_DATA(self, server: Connection, session: Session, envelope: Envelope) -> str:
        return await server.answer(envelope)
