"""libcurl's transfers on a selector: one thread begins them, waits for whatever happens, and hears of their ends.

`pycurl.AsyncCurlMulti` does the same on asyncio's loop, with a future and two callbacks for each transfer: a fifth
of the CPU that libcurl itself takes for them (`make bench ARGS=push`, docs/decisions.md).
"""

from __future__ import annotations

import math
import selectors
import socket
import time
from contextlib import suppress
from typing import Any

import pycurl

#: A transfer's handle, and why it failed; None if it is complete.
Ended = tuple[Any, pycurl.error | None]


class Transfers:
    """At most `connections` connections to a host, of `streams` transfers each. For one thread, except `wake`."""

    def __init__(self, connections: int, streams: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._ear, self._mouth = socket.socketpair()
        for end in (self._ear, self._mouth):
            end.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._under_way = set[Any]()
        self._timer = math.inf
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, connections)
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, streams)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)

    def begin(self, curl: Any) -> None:
        """Start the transfer of a handle whose options are set. Raises pycurl.error."""
        self._multi.add_handle(curl)
        self._under_way.add(curl)

    def turn(self, until: float) -> list[Ended]:
        """Wait until something happens, but not beyond `until` (`time.monotonic()`); what has ended, taken out."""
        now = time.monotonic()
        if self._timer > now:  # else there are new ones to write first
            wait = min(until, self._timer) - now
            for key, events in self._selector.select(None if wait == math.inf else max(0.0, wait)):
                if key.fileobj is self._ear:
                    self._ear.recv(4096)
                else:
                    self._multi.socket_action(key.fd, _as_libcurl_has_it(events))
        if self._timer <= time.monotonic():
            self._timer = math.inf
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return self._ended()

    def wake(self) -> None:
        """End the `turn` that is waiting, or the next one, at once. For any thread."""
        with suppress(OSError):  # full: then calls lie there already; closed: then nothing waits
            self._mouth.send(b"!")

    def close(self) -> None:
        """Close the connections; transfers under way are cut off."""
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, None)
        for curl in self._under_way:
            self._multi.remove_handle(curl)
        self._multi.close()
        with suppress(OSError):  # its descriptor may be what was lost
            self._selector.close()
        self._ear.close()
        self._mouth.close()

    def _ended(self) -> list[Ended]:
        left, ended = 1, list[Ended]()
        while left:
            left, complete, failed = self._multi.info_read()
            ended += [(curl, None) for curl in complete]
            ended += [(curl, pycurl.error(code, text)) for curl, code, text in failed]
        for curl, _ in ended:
            self._multi.remove_handle(curl)
            self._under_way.remove(curl)
        return ended

    def _watch(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        known = descriptor in self._selector.get_map()
        if what in (pycurl.POLL_REMOVE, pycurl.POLL_NONE):
            if known:
                self._selector.unregister(descriptor)
            return
        wanted = selectors.EVENT_READ if what & pycurl.POLL_IN else 0
        wanted |= selectors.EVENT_WRITE if what & pycurl.POLL_OUT else 0
        (self._selector.modify if known else self._selector.register)(descriptor, wanted)

    def _set_timer(self, milliseconds: int) -> None:
        self._timer = math.inf if milliseconds < 0 else time.monotonic() + milliseconds / 1000


def _as_libcurl_has_it(events: int) -> int:
    can_read = pycurl.CSELECT_IN if events & selectors.EVENT_READ else 0
    return can_read | (pycurl.CSELECT_OUT if events & selectors.EVENT_WRITE else 0)
