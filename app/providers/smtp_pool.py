"""Which session a message goes by: as few as will do, opened one at a time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.providers.smtp_login import Server
from app.providers.smtp_session import SmtpSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many sessions at once; for each: messages, seconds of age, seconds unused."""

    sessions: int
    messages: int
    age: float
    idle: float


class _Waiting:
    """A thread that wants a place, and what it gets: a session, an error, or None to open a session itself."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.gets: SmtpSession | Exception | None = None

    def tell(self, what: SmtpSession | Exception | None) -> None:
        self.gets = what
        self.ready.set()


class Pool:
    """The sessions of one process, used by many threads: first come, first served."""

    def __init__(self, server: Server, limits: Limits) -> None:
        self._server = server
        self._limits = limits
        self._sessions: list[SmtpSession] = []
        self._line: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        self._opening = False

    @contextmanager
    def session(self, deadline: float) -> Iterator[SmtpSession]:
        """A place in a session, before `deadline` (`time.monotonic()`). Raises what SmtpSession() does."""
        session = self._enter(deadline) or self._open(deadline)
        try:
            yield session
        finally:
            self._leave(session)

    def close(self) -> None:
        """End the sessions: those in use when their last message is through."""
        with self._lock:
            for session in list(self._sessions):
                self._sessions.remove(session)
                if not session.in_flight:
                    session.close()

    def abandon(self) -> None:
        """Let go of another process's connections."""
        for session in self._sessions:
            session.abandon()

    def _enter(self, deadline: float) -> SmtpSession | None:
        """A place in an open session; None if a new one is to be opened."""
        waiting = _Waiting()
        with self._lock:
            self._line.append(waiting)
            self._serve()
        # The other half is for the answer: what is handed over too late can only end as unknown.
        if not waiting.ready.wait(max(deadline - time.monotonic(), 0) / 2):
            with self._lock:
                if not waiting.ready.is_set():
                    self._line.remove(waiting)
                    raise TimeoutError("every session stayed busy")
        if isinstance(waiting.gets, Exception):
            raise waiting.gets
        return waiting.gets

    def _serve(self) -> None:
        """Give those in line what there is; the first that gets nothing opens a session, one at a time."""
        while self._line and (session := self._with_room()):
            _count_in(session)
            self._line.popleft().tell(session)
        if self._line and not self._opening and len(self._sessions) < self._limits.sessions:
            self._opening = True
            self._line.popleft().tell(None)

    def _open(self, deadline: float) -> SmtpSession:
        try:
            session = SmtpSession(self._server, deadline)
        except BaseException:
            self._opened(None)
            raise
        _count_in(session)
        self._opened(session)
        return session

    def _opened(self, session: SmtpSession | None) -> None:
        with self._lock:
            self._opening = False
            if session is not None:
                self._sessions.append(session)
            elif not self._sessions:  # the others would only meet the same, one after the other
                while self._line:
                    self._line.popleft().tell(ConnectionError("no session could be opened"))
            self._serve()

    def _leave(self, session: SmtpSession) -> None:
        with self._lock:
            session.in_flight -= 1
            if not session.in_flight and (session not in self._sessions or not self._lasts(session)):
                self._drop(session)
            self._serve()

    def _with_room(self) -> SmtpSession | None:
        """The oldest session that can take a message now; those that can't any more are ended on the way."""
        for session in list(self._sessions):
            if not self._lasts(session) or not session.usable():
                if not session.in_flight:
                    self._drop(session)
            elif session.in_flight < session.window:
                return session
        return None

    def _lasts(self, session: SmtpSession) -> bool:
        now, limits = time.monotonic(), self._limits
        return (
            session.healthy
            and session.messages < limits.messages
            and now - session.opened < limits.age
            and (session.in_flight > 0 or now - session.used < limits.idle)
        )

    def _drop(self, session: SmtpSession) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
        session.close()


def _count_in(session: SmtpSession) -> None:
    session.in_flight += 1
    session.messages += 1
