"""An HTTP/2 server made of bare frames (RFC 9113), for refusals that no real server gives on demand."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from types import TracebackType
from typing import Literal, Self

from sandbox.standins.tls import Authority

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
ACK = END_STREAM = 1
END_HEADERS = 4
REFUSED_STREAM = 7
STATUS_200 = b"\x88"  # HPACK, entry 8 of the static table (RFC 7541, appendix A)
PREFACE = 24

Refusal = Literal["goaway", "goaway and close", "refused stream"]


class RefusingServer:
    """Declares each body in `refuse` untouched when it comes the first time; answers 200 to all else.

    `bodies` holds every body that arrived, oldest first.
    """

    def __init__(self, authority: Authority, refusal: Refusal) -> None:
        self.bodies: list[bytes] = []
        self.refuse: set[bytes] = set()
        self._refusal = refusal
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(authority.cert_file, authority.key_file)
        self._tls.set_alpn_protocols(["h2"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # the test is over
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        try:
            with self._tls.wrap_socket(raw, server_side=True) as connection:
                _read(connection, PREFACE)
                _write(connection, SETTINGS, 0, 0)
                last = 0
                while True:
                    last = self._take_frame(connection, last)
        except (OSError, EOFError):
            return  # the client left

    def _take_frame(self, connection: ssl.SSLSocket, last: int) -> int:
        """Take one frame; the new last stream that was answered. A body is expected in one DATA frame."""
        head = _read(connection, 9)
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream, payload = int.from_bytes(head[5:], "big"), _read(connection, size)
        if kind in (SETTINGS, PING) and not flags & ACK:
            _write(connection, kind, ACK, 0, payload if kind == PING else b"")
        if kind != DATA or not payload:
            return last
        self.bodies.append(payload)
        if payload in self.refuse:
            self.refuse.discard(payload)
            self._decline(connection, stream, last)
            return last
        _write(connection, HEADERS, END_HEADERS, stream, STATUS_200)
        _write(connection, DATA, END_STREAM, stream, b"ok")
        return stream

    def _decline(self, connection: ssl.SSLSocket, stream: int, last: int) -> None:
        if self._refusal == "refused stream":
            _write(connection, RST_STREAM, 0, stream, struct.pack(">I", REFUSED_STREAM))
            return
        _write(connection, GOAWAY, 0, 0, struct.pack(">II", last, 0))
        if self._refusal == "goaway and close":
            connection.shutdown(socket.SHUT_WR)


def _read(connection: ssl.SSLSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _write(connection: ssl.SSLSocket, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
    connection.sendall(
        struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
    )
