"""A mail server on loopback that takes e-mail as a real relay does, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Self

from aiosmtpd.smtp import LoginPassword

from sandbox.standins.ledger import Ledger
from sandbox.standins.mail import read
from sandbox.standins.smtp_dialogue import Behaviour, Connection
from sandbox.standins.tls import Authority

__all__ = ["Behaviour", "SmtpStandIn"]


@dataclass(eq=False)
class SmtpStandIn:
    """Listens on 127.0.0.1:`port` (0 picks a free one) between `start` and `stop`.

    Takes mail after a login, over STARTTLS as a relay on port 587 does; `security` "tls" and "none" are the
    other two ways. What it takes is in the ledger (channel "email") before it is answered. `script` is obeyed
    first in, first out; when it is empty, all is accepted: to die after five of a window's messages, let five
    `Behaviour(at="message", accept=True)` stand before the one that closes.

    `max_size` in octets; with None, SIZE is not announced. Without `mechanisms` nobody need log in. `reader` makes
    of a message what the ledger says of it: reading all of a large one takes milliseconds.
    """

    ledger: Ledger
    authority: Authority
    _: KW_ONLY
    user: str
    password: str
    port: int = 0
    security: Literal["starttls", "tls", "none"] = "starttls"
    extensions: Collection[str] = ("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8")
    mechanisms: Collection[str] = ("PLAIN", "LOGIN")
    max_size: int | None = 10 * 2**20
    reader: Callable[[bytes], dict[str, Any]] = read

    def __post_init__(self) -> None:
        """Nobody is connected yet, and nothing is scripted."""
        self.script: deque[Behaviour] = deque()
        self.login = LoginPassword(self.user.encode(), self.password.encode())
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.authority.cert_file, self.authority.key_file)
        self.connections: set[Connection] = set()
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
            lambda: Connection(self, self._loop),
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
