"""The bytes below an SMTP session: connect, encrypt, write, read replies; each wait has its bound."""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar

from app.providers.errors import Misconfigured

#: Octets in a reply line. RFC 5321 4.5.3.1.5 allows 512 and asks to take more where one can.
MAX_LINE = 2048
MAX_LINES = 100
#: Octets asked of the connection in one read: the answers to a whole window.
_READ = 16384

_REPLY_LINE = re.compile(r"[2-5][0-9]{2}(?:[ -].*)?")
_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?= |$)")

_Got = TypeVar("_Got")


class Reply(NamedTuple):
    """A server's answer. `lines` may hold addresses: they belong in no log and no exception."""

    code: int
    lines: tuple[str, ...]

    @property
    def enhanced(self) -> str:
        """The enhanced status code ("5.1.1", RFC 3463), "" if there is none."""
        match = _ENHANCED.match(self.lines[0])
        return match[0] if match else ""

    @property
    def status(self) -> str:
        """Both codes: "550 5.1.1", or "550"."""
        return f"{self.code} {self.enhanced}".rstrip()

    @property
    def text(self) -> str:
        """What is said after the codes, in one line."""
        return " ".join(self.lines).removeprefix(self.enhanced).strip()


class Wire:
    """A connection, on which one thread may write while another reads.

    `deadline` (`time.monotonic()`) bounds a whole call, `timeout` (seconds) each of its waits. Every method raises
    OSError when the connection is lost, times out or speaks something else than SMTP.
    """

    def __init__(self, host: str, port: int, *, connect_timeout: float, timeout: float, deadline: float) -> None:
        """Connect; each of the host's addresses gets `connect_timeout` seconds. Raises Misconfigured too."""
        self._host = host
        self._timeout = timeout
        self._received = bytearray()
        # OpenSSL takes one thread at a time on a connection, so nobody waits for the other side inside it.
        self._turn = threading.Lock()
        self._socket = self._connect(port, connect_timeout, deadline)
        self._socket.setblocking(False)

    def encrypt(self, context: ssl.SSLContext, deadline: float) -> None:
        """Start TLS. Raises Misconfigured if the certificate or the protocol can't be accepted."""
        if self._received:  # plain text put in by someone between us would pass for the server's word
            raise Misconfigured("security: the SMTP server spoke in plain text where TLS should start")
        self._socket.settimeout(self._left(self._timeout, deadline))
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=self._host)
        except ssl.SSLCertVerificationError as error:
            raise Misconfigured(f"security: certificate refused: {error.verify_message}") from None
        except (ssl.SSLEOFError, ssl.SSLSyscallError, ssl.SSLZeroReturnError):
            raise  # the connection broke, which says nothing about the settings
        except ssl.SSLError as error:
            raise Misconfigured(f"security: no TLS with the SMTP server: {error.reason}") from None
        self._socket.setblocking(False)

    def write(self, data: bytes, deadline: float) -> None:
        """Send all of `data`; if it raises, the last octet has not left."""
        self._left(self._timeout, deadline)  # a message is not begun too late, even if it could go at once
        rest = memoryview(data)
        while rest:
            rest = rest[self._try(partial(self._socket.send, rest), select.POLLOUT, deadline) :]

    def reply(self, deadline: float) -> Reply:
        """Read one reply (RFC 5321 4.2)."""
        lines: list[str] = []
        while len(lines) < MAX_LINES:
            line = self._line(deadline)
            if not _REPLY_LINE.fullmatch(line):
                raise ConnectionError("the answer is not SMTP")
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(int(line[:3]), tuple(lines))
        raise ConnectionError(f"an answer of more than {MAX_LINES} lines")

    def quiet(self) -> bool:
        """Whether the connection stands and nothing has come unasked, as a server's "421" or its end would."""
        if self._received:
            return False
        try:
            with self._turn:
                self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def close(self, *, farewell: bytes = b"") -> None:
        """Close the connection; `farewell` is sent first if that takes no waiting, its answer is not read."""
        if farewell:
            with suppress(OSError):
                self._socket.send(farewell)
        self._socket.close()

    def _connect(self, port: int, timeout: float, deadline: float) -> socket.socket:
        # Looking up the name has the resolver's own time limits; nothing in the library can cut it short.
        try:
            found = socket.getaddrinfo(self._host, port, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise Misconfigured("host: not a host name") from None
        failure = OSError("the host has no address")
        for family, kind, protocol, _, address in found:
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(self._left(timeout, deadline))
                connection.connect(address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                connection.close()
                failure = error
            else:
                return connection
        raise failure

    def _line(self, deadline: float) -> str:
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) > MAX_LINE:
                raise ConnectionError(f"a line of more than {MAX_LINE} octets")
            received = self._try(partial(self._socket.recv, _READ), select.POLLIN, deadline)
            if not received:
                raise ConnectionError("the server closed the connection")
            self._received += received
        line = self._received[:end].rstrip(b"\r").decode("ascii", "replace")
        del self._received[: end + 1]
        return line

    def _try(self, operation: Callable[[], _Got], wanted: int, deadline: float) -> _Got:
        """Do what doesn't block, again whenever the connection is ready (`wanted`, as in `select.poll`)."""
        while True:
            try:
                with self._turn:
                    return operation()
            except ssl.SSLWantReadError:
                event = select.POLLIN
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            except BlockingIOError:
                event = wanted
            poller = select.poll()
            poller.register(self._socket, event)
            if not poller.poll(self._left(self._timeout, deadline) * 1000):
                raise TimeoutError("timed out")

    @staticmethod
    def _left(timeout: float, deadline: float) -> float:
        left = min(timeout, deadline - time.monotonic())
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left
