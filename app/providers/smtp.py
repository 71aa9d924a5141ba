"""E-mail by SMTP: one message at a time for each thread, and what a server's refusal means to us."""

from __future__ import annotations

import os
import re
import ssl
import time
from dataclasses import dataclass
from typing import get_args

import certifi

from app.providers.base import Email, Receipt
from app.providers.errors import (
    InvalidRecipient,
    Misconfigured,
    ProviderError,
    RecipientBusy,
    Rejected,
    Transient,
)
from app.providers.mime import build, parse_sender, recipient
from app.providers.smtp_login import Refused, Security, Server
from app.providers.smtp_pool import Limits, Pool
from app.providers.smtp_session import StaleSession
from app.providers.smtp_wire import Reply

#: Refused with 5yz, these stop the channel: they come before any message has its say.
_SESSION_STAGES = {"greeting", "EHLO", "STARTTLS", "AUTH"}
#: Login or encryption is missing or refused, whatever the command (RFC 4954 6, RFC 3207 4).
_ACCESS_CODES = {530, 534, 535, 538}
#: x.1.z speaks of an address; these two of the sender's (RFC 3463 3.2), which some servers judge at RCPT.
_SENDER = (".1.7", ".1.8")
#: Refusals of MAIL that are about this message's parameters (RFC 5321 4.1.1.11, RFC 1870 6); any other is about
#: the sender, who is the same in every message.
_PARAMETER_CODES = {500, 501, 503, 504, 552, 555}
#: Seconds before a recipient is tried again: greylisting wants 5 to 15 min, and a full mailbox some time.
RECIPIENT_WAIT = 300.0
#: How servers name what they queued: "queued as 4CkF5q" (Postfix), "id=1rQ2-0001" (Exim).
_QUEUE_ID = re.compile(r"(?:\bqueued as |\bid=)([\w.-]+)", re.IGNORECASE)


@dataclass(kw_only=True, eq=False, repr=False)
class SmtpProvider:
    """Sends e-mail through one SMTP server; safe for many threads, and across a fork.

    Times in seconds: one connection attempt, one read or write, one whole send, a session's life. At most
    `max_sessions`; a new one is opened only when those open can take no further message just now.

    `sender` as in "Pafar <no-reply@pafar.example>"; `ca_file` (PEM) is trusted besides the public CAs. Making one
    opens no connection. Raises Misconfigured, which names the bad parameter.
    """

    host: str
    port: int
    security: Security
    user: str | None
    password: str | None
    sender: str
    ca_file: str | None
    connect_timeout: float = 5.0
    timeout: float = 10.0
    deadline: float = 30.0
    max_sessions: int = 8
    max_messages: int = 100
    max_age: float = 60.0
    max_idle: float = 30.0

    def __post_init__(self) -> None:
        """Check what was given, and make of it what sessions need."""
        if self.security not in get_args(Security):
            raise Misconfigured(f"security: {self.security!r}, allowed are {', '.join(get_args(Security))}")
        if (self.user is None) != (self.password is None):
            raise Misconfigured("user, password: one is set without the other")
        self._mail_from = parse_sender(self.sender)[1]
        self._server = Server(
            host=self.host,
            port=self.port,
            security=self.security,
            tls=_tls(self.ca_file),
            user=self.user,
            password=self.password or "",
            # Relays turn away names they can't make sense of, and a container's own name is such a one.
            ehlo_name=self._mail_from.rpartition("@")[2],
            connect_timeout=self.connect_timeout,
            timeout=self.timeout,
        )
        self._limits = Limits(
            sessions=self.max_sessions, messages=self.max_messages, age=self.max_age, idle=self.max_idle
        )
        self._pools: dict[int, Pool] = {}

    def send(self, message: Email) -> Receipt:
        """Hand over one e-mail. Raises ProviderError; `provider_id` is the server's queue id, or the Message-ID.

        Transient: not connected, timed out or lost before the end of the message, 4yz; of the recipient's own,
        RecipientBusy. OutcomeUnknown: lost after it. Misconfigured: login, encryption, certificate, a refused
        sender. InvalidRecipient: 5.1.z at RCPT. Rejected: other 5yz.
        """
        deadline = time.monotonic() + self.deadline
        to = recipient(message.to)
        content = build(message, self.sender)
        try:
            reply = self._deliver(to, content, deadline)
        except Refused as refusal:
            raise _meaning(refusal) from None
        except OSError as error:
            raise Transient(f"SMTP server {self._server.host}:{self._server.port}: {error}") from None
        return Receipt(_queue_id(reply, to) or f"<{message.reference}@{self._server.ehlo_name}>")

    def close(self) -> None:
        """End the kept connections."""
        self._own_pool().close()

    def _deliver(self, to: str, content: bytes, deadline: float) -> Reply:
        pool = self._own_pool()
        try:
            with pool.session(deadline) as session:
                return session.send(self._mail_from, to, content, deadline)
        except StaleSession:
            pass
        try:
            with pool.session(deadline) as session:
                return session.send(self._mail_from, to, content, deadline)
        except StaleSession:
            raise ConnectionError("two sessions in turn ended before they took the message") from None

    def _own_pool(self) -> Pool:
        """This process's pool. After a fork a new one, with new locks: the old may be held by lost threads."""
        process = os.getpid()
        pool = self._pools.get(process)
        if pool is None:
            pool = self._pools.setdefault(process, Pool(self._server, self._limits))
            for other in set(self._pools) - {process}:
                if inherited := self._pools.pop(other, None):
                    inherited.abandon()
        return pool


def _tls(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError, for a file that holds no certificate, is one too
            raise Misconfigured(f"ca_file: {ca_file}: {error.strerror or 'no PEM certificate'}") from None
    return context


def _meaning(refusal: Refused) -> ProviderError:
    """Our word for a 4yz or 5yz. The server's own text stays out: it often repeats the recipient's address."""
    reply, stage = refusal.reply, refusal.stage
    said = f"the SMTP server refused {stage} with {reply.status}"
    if reply.code < 500:
        if stage == "RCPT" and not _is_everybodys(reply):
            return RecipientBusy(said, code=reply.status, retry_after=RECIPIENT_WAIT)
        return Transient(said, code=reply.status)
    if stage in _SESSION_STAGES or reply.code in _ACCESS_CODES or _blames_sender(refusal):
        return Misconfigured(said, code=reply.status)
    if stage == "RCPT" and reply.enhanced.startswith("5.1."):
        return InvalidRecipient(said, code=reply.status)
    return Rejected(said, code=reply.status)


def _is_everybodys(reply: Reply) -> bool:
    """Whether a 4yz at RCPT would meet any recipient: the server closes, is in trouble or looks up the sender."""
    return reply.code == 421 or reply.enhanced.startswith("4.3.") or reply.enhanced.endswith(_SENDER)


def _blames_sender(refusal: Refused) -> bool:
    """Whether a 5yz means that SMTP_FROM or the account is wrong."""
    reply = refusal.reply
    at_mail = refusal.stage == "MAIL" and reply.code not in _PARAMETER_CODES
    return at_mail or (reply.enhanced.startswith("5.1.") and reply.enhanced.endswith(_SENDER))


def _queue_id(reply: Reply, to: str) -> str:
    """The id in a final reply; else its text, cut to 200 characters, if that tells one message from another."""
    if match := _QUEUE_ID.search(reply.text):
        return match[1][:200]
    tells = any(character.isdigit() for character in reply.text) and to.lower() not in reply.text.lower()
    return reply.text[:200] if tells else ""
