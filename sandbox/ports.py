"""Free loopback ports for servers that must come back on the port they had."""

from __future__ import annotations

import secrets
import socket

#: Below every system's range for outgoing connections (Linux 32768-60999: kernel ip-sysctl, ip_local_port_range;
#: elsewhere 49152-65535: RFC 6335 section 6). Inside it, a client that keeps trying to reach a stopped server
#: is in time given that very port as its own, connects to itself, and blocks the server's return.
_LOWEST, _HIGHEST = 20_000, 32_767
_TRIES = 200


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody listens on now; another program may still take it first.

    Raises OSError if none was found.
    """
    for _ in range(_TRIES):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST + 1)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port on 127.0.0.1 between {_LOWEST} and {_HIGHEST} in {_TRIES} tries")
