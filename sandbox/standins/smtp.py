"""A mail server on loopback that takes e-mail as a real relay does, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Self

from aiosmtpd.smtp import SMTP, Envelope, LoginPassword, Session

from sandbox.standins.ledger import Ledger
from sandbox.standins.mail import read
from sandbox.standins.tls import Authority

Stage = Literal["AUTH", "MAIL", "RCPT", "DATA", "message"]

# The library warns of its own internals at each login, and notes addresses at each command.
logging.getLogger("mail.log").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What to do, once, at one point of the dialogue; it waits at the head of the script for that point.

    At "message" (all of it has come) the message is taken first if `accept`. Then `delay` seconds of silence.
    Then `reply` ("451 4.7.1 later") is said in place of the usual answer, and the connection ends if `close`.
    With neither of these two, the dialogue goes on as usual.
    """

    at: Stage
    reply: str | None = None
    delay: float = 0.0
    accept: bool = False
    close: bool = False


class SmtpStandIn:
    """Listens on 127.0.0.1:`port` (0 picks a free one) between `start` and `stop`.

    Takes mail after a login, over STARTTLS as a relay on port 587 does; `security` "tls" and "none" are the
    other two ways. What it takes is in the ledger (channel "email") before it is answered. `script` is obeyed
    first in, first out; when it is empty, all is accepted.
    """

    def __init__(  # noqa: PLR0913  (each is a way in which real servers differ)
        self,
        ledger: Ledger,
        authority: Authority,
        *,
        user: str,
        password: str,
        port: int = 0,
        security: Literal["starttls", "tls", "none"] = "starttls",
        extensions: Collection[str] = ("PIPELINING", "8BITMIME", "SMTPUTF8"),
        mechanisms: Collection[str] = ("PLAIN", "LOGIN"),
        max_size: int | None = 10 * 2**20,
    ) -> None:
        """`max_size` in octets; with None, SIZE is not announced."""
        self.port = port
        self.script: deque[Behaviour] = deque()
        self.ledger = ledger
        self.login = LoginPassword(user.encode(), password.encode())
        self.security = security
        self.extensions = extensions
        self.mechanisms = mechanisms
        self.max_size = max_size
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(authority.cert_file, authority.key_file)
        self.connections: set[_Connection] = set()
        self.connection_count = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, in a thread of its own. Raises OSError if the port is taken."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp-stand-in", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        except OSError:
            self._end_loop()
            raise

    def stop(self) -> None:
        """Cut every connection and listen no more; a later `start` uses the same port."""
        asyncio.run_coroutine_threadsafe(self._cease(), self._loop).result()
        self._end_loop()

    def disconnect(self, reply: str | None = None) -> None:
        """Close every open connection, as servers do with idle ones, after saying `reply` ("421 …")."""
        asyncio.run_coroutine_threadsafe(self._disconnect(reply), self._loop).result()

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(
            lambda: _Connection(self, self._loop),
            "127.0.0.1",
            self.port,
            ssl=self.tls if self.security == "tls" else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _disconnect(self, reply: str | None) -> None:
        for connection in set(self.connections):
            await connection.hang_up(reply)

    async def _cease(self) -> None:
        self._server.close()
        for connection in set(self.connections):
            connection.abort()
        dialogues = asyncio.all_tasks() - {asyncio.current_task()}
        for dialogue in dialogues:
            dialogue.cancel()
        await asyncio.gather(*dialogues, return_exceptions=True)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Connection(SMTP):
    """One client's dialogue."""

    def __init__(self, standin: SmtpStandIn, loop: asyncio.AbstractEventLoop) -> None:
        starttls = standin.security == "starttls"
        super().__init__(
            _Handler(standin.extensions),
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
        if self.session is None or not self.session.authenticated:
            await self.push("530 5.7.0 Authentication required")
        elif not await self._diverted("MAIL"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:
        if not await self._diverted("RCPT"):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:
        if not await self._diverted("DATA"):
            await super().smtp_DATA(arg)

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
            **read(envelope.original_content or b""),
        )
        return f"250 2.0.0 Ok: queued as {queue_id}"


class _Handler:
    """What the library asks of the one who uses it."""

    def __init__(self, extensions: Collection[str]) -> None:
        self._extensions = extensions

    async def handle_EHLO(
        self, server: _Connection, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if "8BITMIME" not in self._extensions:
            responses.remove("250-8BITMIME")
        if "PIPELINING" in self._extensions:
            responses.insert(1, "250-PIPELINING")
        return responses

    async def handle_DATA(self, server: _Connection, session: Session, envelope: Envelope) -> str:
        return await server.answer(envelope)
