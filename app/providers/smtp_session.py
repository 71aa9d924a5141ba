"""One SMTP session, shared by threads: messages follow each other as closely as the server's extensions allow.

RFC 5321, and of its extensions 2920 (PIPELINING), 3030 (CHUNKING), 1870 (SIZE), 6152 (8BITMIME), 6531 (SMTPUTF8).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.providers.errors import InvalidRecipient, OutcomeUnknown, Rejected
from app.providers.smtp_login import Refused, Server, Stage, log_in
from app.providers.smtp_wire import Reply

#: Messages on their way at once with CHUNKING. If the connection dies, the outcome of so many is unknown.
CHUNKED_WINDOW = 16
#: With PIPELINING alone: one awaits its last answer, the commands of the next are on their way.
PIPELINED_WINDOW = 2
#: Seconds from joining to the last answer. Slower, and the next ones wait outside, where waiting is harmless.
PATIENCE = 2.0

_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


class StaleSession(Exception):
    """The session ended before it took this message: it may go by another one."""


class _Turn:
    """A message's place in the line: it is written after the one before, and answered after it."""

    def __init__(self, before: _Turn | None) -> None:
        self.before = before
        self.began = time.monotonic()
        self.written = threading.Event()  #: all of it has left; the next may write
        self.answered = threading.Event()  #: all its answers are read; the next may read
        #: Why those behind get no answer: StaleSession if none of them was taken, else ConnectionError.
        self.failure: type[Exception] | None = None

    def to_write(self, deadline: float) -> None:
        """Wait until it is this one's turn. Raises TimeoutError and StaleSession."""
        if self.before is not None:
            _wait(self.before.written, deadline)
            if self.before.failure is not None:
                raise StaleSession

    def to_read(self, deadline: float) -> None:
        """Wait until it is this one's turn. Raises TimeoutError, ConnectionError and StaleSession."""
        if self.before is not None:
            _wait(self.before.answered, deadline)
            if self.before.failure is not None:
                raise self.before.failure("the session broke at a message before this one")

    def end(self) -> None:
        """Let the next one go on, or see that it can't."""
        self.before = None  # else each would keep all before it in memory
        self.written.set()
        self.answered.set()


class SmtpSession:
    """A connection that is logged in.

    `healthy`: in a known state, fit for the next message; `window`: how many may be on their way at once; `opened`
    and `used`: `time.monotonic()` of its start and of its last use. Its pool counts those `in_flight` and all its
    `messages`.
    """

    def __init__(self, server: Server, deadline: float) -> None:
        """Connect and log in before `deadline` (`time.monotonic()`).

        Raises Refused, Misconfigured (encryption, certificate, no login to use) and OSError.
        """
        self._wire, self._extensions = log_in(server, deadline)
        self._pipelining = "PIPELINING" in self._extensions
        self._chunking = self._pipelining and "CHUNKING" in self._extensions
        self._widest = CHUNKED_WINDOW if self._chunking else PIPELINED_WINDOW if self._pipelining else 1
        self.window = 1
        self.in_flight = 0
        self.messages = 0
        self.healthy = True
        self.opened = self.used = time.monotonic()
        self._joining = threading.Lock()
        self._last: _Turn | None = None
        self._clean = True

    def send(self, mail_from: str, to: str, content: bytes, deadline: float) -> Reply:
        """Hand over `content` (CRLF lines) to one recipient; returns the final reply.

        Raises Refused, StaleSession, OutcomeUnknown (no answer after the end of the message), Rejected and
        InvalidRecipient (the server's extensions rule the message out), OSError (lost before that end).
        """
        commands = self._commands(mail_from, to, content)
        with self._turn() as turn:
            kept = turn.before is not None
            try:
                return self._transact(turn, commands, content, deadline)
            except Refused as refusal:
                if kept and refusal.reply.code == 421 and refusal.stage in {"RSET", "MAIL"}:
                    raise StaleSession from None
                raise
            except OSError as error:
                if turn.written.is_set():
                    raise OutcomeUnknown("the SMTP server was sent the whole message and gave no answer") from None
                if kept and not isinstance(error, TimeoutError):
                    raise StaleSession from None
                raise

    def usable(self) -> bool:
        """Whether it may take a message; one with none in flight is looked at whether it still stands."""
        return self.healthy and (self.in_flight > 0 or self._wire.quiet())

    def close(self) -> None:
        """End the session, with QUIT if it is in a state to hear it."""
        self._wire.close(farewell=b"QUIT\r\n" if self.healthy else b"")
        self.healthy = False

    def abandon(self) -> None:
        """Let go of the connection without a word: another process still speaks on it."""
        self.healthy = False
        self._wire.close()

    @contextmanager
    def _turn(self) -> Iterator[_Turn]:
        """A place at the end of the line; what becomes of its message decides on those behind."""
        with self._joining:
            turn = self._last = _Turn(self._last)
        try:
            yield turn
            self._clean = True
        except Refused:
            self._clean = False
            raise
        except StaleSession:
            turn.failure = StaleSession
            raise
        except BaseException:
            turn.failure = turn.failure or ConnectionError
            raise
        finally:
            if turn.failure is not None:
                self.healthy = False
            self.used = time.monotonic()
            quick = self.used - turn.began < PATIENCE
            self.window = min(self.window + 1, self._widest) if quick else max(self.window // 2, 1)
            turn.end()

    def _commands(self, mail_from: str, to: str, content: bytes) -> dict[Stage, bytes]:
        limit = self._extensions.get("SIZE", "")
        if limit.isdecimal() and 0 < int(limit) < len(content):  # a SIZE of 0 is no limit
            raise Rejected(f"message: {len(content)} octets, the SMTP server takes {limit}")
        if not to.isascii() and "SMTPUTF8" not in self._extensions:
            raise InvalidRecipient("to: the local part is not ASCII and the SMTP server has no SMTPUTF8")
        size = f" SIZE={len(content)}" if "SIZE" in self._extensions else ""
        body = " BODY=8BITMIME" if "8BITMIME" in self._extensions and not content.isascii() else ""
        utf8 = "" if to.isascii() else " SMTPUTF8"
        return {
            "MAIL": f"MAIL FROM:<{mail_from}>{size}{body}{utf8}\r\n".encode(),
            "RCPT": f"RCPT TO:<{to}>\r\n".encode(),
        }

    def _transact(self, turn: _Turn, commands: dict[Stage, bytes], content: bytes, deadline: float) -> Reply:
        turn.to_write(deadline)
        behind_another = turn.before is not None and not turn.before.answered.is_set()
        if behind_another or not self._clean:
            # A transaction that was refused half-way stays open: this message would join that one's recipients.
            commands = {"RSET": b"RSET\r\n", **commands}
        if self._chunking:
            chunk = b"BDAT %d LAST\r\n" % len(content)
            self._wire.write(b"".join((*commands.values(), chunk, content)), deadline)
            turn.written.set()
            turn.to_read(deadline)
            reply = self._answers(turn, (*commands, "message"), deadline)
        else:
            self._ask(turn, {**commands, "DATA": b"DATA\r\n"}, deadline)
            self._wire.write(_LEADING_DOT.sub(b"..", content) + b".\r\n", deadline)
            turn.written.set()
            reply = self._answers(turn, ("message",), deadline)
        if reply.code // 100 != 2:
            raise ConnectionError("an unexpected answer to the message")
        return reply

    def _ask(self, turn: _Turn, commands: dict[Stage, bytes], deadline: float) -> None:
        """MAIL, RCPT and DATA, until the server asks for the message: in one write where it can be."""
        if self._pipelining:
            self._wire.write(b"".join(commands.values()), deadline)
        turn.to_read(deadline)
        if self._pipelining:
            reply = self._answers(turn, tuple(commands), deadline)
        else:
            for stage, line in commands.items():
                self._wire.write(line, deadline)
                reply = self._answers(turn, (stage,), deadline)
        if reply.code != 354:
            raise ConnectionError("an unexpected answer to DATA")

    def _answers(self, turn: _Turn, stages: tuple[Stage, ...], deadline: float) -> Reply:
        """Read the answers to `stages`; returns the last. Raises Refused for the first that is 4yz or 5yz."""
        refusal: Refused | None = None
        for stage in stages:
            reply = self._wire.reply(deadline)
            if reply.code >= 400:
                refusal = refusal or Refused(stage, reply)
            if reply.code == 421:  # the server closes the connection and reads no more (RFC 5321 3.8)
                turn.failure = StaleSession
                break
        if refusal is None:
            return reply
        if reply.code == 354:
            self._send_nothing(turn, deadline)
        raise refusal

    def _send_nothing(self, turn: _Turn, deadline: float) -> None:
        """For a server that asks for a message to nobody: the dot alone, as RFC 2920 3.1 has it."""
        try:
            self._wire.write(b".\r\n", deadline)
            self._wire.reply(deadline)
        except OSError:
            turn.failure = ConnectionError


def _wait(event: threading.Event, deadline: float) -> None:
    if not event.wait(max(deadline - time.monotonic(), 0)):
        raise TimeoutError("the deadline has passed")
