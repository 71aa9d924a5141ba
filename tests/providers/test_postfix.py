"""The SMTP provider against a real Postfix: Debian's, started by root on a port and a spool of its own.

Over STARTTLS, without a login: Debian's Postfix has none that needs no further server.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from pwd import getpwnam
from typing import Any

import pytest

from app.providers.base import Attachment, Email, Receipt
from app.providers.errors import InvalidRecipient, Rejected
from app.providers.smtp import SmtpProvider
from sandbox.ports import free_port
from sandbox.standins.tls import Authority
from tests.programs import program
from tests.providers.smtp_bench import at_once, email

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Postfix starts only as root")

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
myhostname = mx.mail.example
mydestination =
inet_protocols = ipv4
smtpd_tls_security_level = encrypt
smtpd_tls_chain_files = {key}, {certificate}
smtpd_discard_ehlo_keywords = {hidden}
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access inline:{{{{nobody@mail.example = 550 5.1.1 unknown}}}}
message_size_limit = 2000000
virtual_mailbox_domains = mail.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A running one; what it delivered lies in `inbox`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.inbox = folder / "mail" / "inbox" / "new"

    def delivered(self, count: int) -> list[Message]:
        """The messages, once there are `count`."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            files = list(self.inbox.iterdir()) if self.inbox.is_dir() else []
            if len(files) >= count:
                return [message_from_bytes(file.read_bytes()) for file in files]
            time.sleep(0.05)
        raise AssertionError(f"Postfix delivered {len(files)} messages, {count} were expected")


@contextmanager
def running(authority: Authority, hidden: str) -> Iterator[Postfix]:
    """A Postfix that doesn't announce `hidden` ("chunking, pipelining"); ended by its own process."""
    postfix = program("postfix")
    # Its daemons give up root, and pytest's own folder is closed to everybody else.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder, port, user = Path(name), free_port(), getpwnam("postfix")
        folder.chmod(0o755)
        for part in ("conf", "spool", "data", "mail", "log"):
            (folder / part).mkdir()
        for part in ("data", "mail"):
            os.chown(folder / part, user.pw_uid, user.pw_gid)
        settings = {"folder": folder, "key": authority.key_file, "certificate": authority.cert_file}
        main = MAIN.format(hidden=hidden, uid=user.pw_uid, gid=user.pw_gid, **settings)
        (folder / "conf" / "main.cf").write_text(main)
        (folder / "conf" / "master.cf").write_text(MASTER.format(port=port))
        # Its own "stop" reads the process number of this spool's master, and waits until it has ended.
        subprocess.run([postfix, "-c", str(folder / "conf"), "start"], check=True, capture_output=True)
        try:
            yield Postfix(folder, port)
        finally:
            subprocess.run([postfix, "-c", str(folder / "conf"), "stop"], check=True, capture_output=True)


@pytest.fixture(scope="module", params=["", "chunking", "chunking, pipelining"], ids=["all", "PIPELINING", "none"])
def postfix(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Postfix]:
    with running(authority, request.param) as server:
        yield server


@pytest.fixture
def provider(postfix: Postfix, authority: Authority) -> Iterator[SmtpProvider]:
    settings: dict[str, Any] = {"security": "starttls", "user": None, "password": None}
    sender, ca_file = "Pafar <no-reply@pafar.example>", str(authority.ca_file)
    connection = SmtpProvider(host="127.0.0.1", port=postfix.port, sender=sender, ca_file=ca_file, **settings)
    yield connection
    connection.close()
    shutil.rmtree(postfix.inbox, ignore_errors=True)


def passengers(count: int) -> list[Email]:
    return [email(number, to=f"passenger-{number}@mail.example") for number in range(count)]


def test_a_message_arrives_whole(postfix: Postfix, provider: SmtpProvider) -> None:
    ticket = Attachment(filename="ticket.pdf", content_type="application/pdf", content=bytes(range(256)) * 400)
    provider.send(email(1, text="Merhaba\n.\nAyşe", attachments=(ticket,)))
    (message,) = postfix.delivered(1)
    text, _, attachment = [part for part in message.walk() if not part.is_multipart()]
    assert text.get_payload(decode=True) == "Merhaba\r\n.\r\nAyşe".encode()
    assert attachment.get_payload(decode=True) == ticket.content


def test_of_many_threads_messages_each_arrives_once_at_its_own_passenger(
    postfix: Postfix, provider: SmtpProvider
) -> None:
    messages = passengers(200)
    for place in range(0, 200, 20):
        messages[place] = email(place, to="nobody@mail.example")
    outcomes = [outcome for begin in range(0, 200, 40) for outcome in at_once(provider, messages[begin:][:40])]
    assert Counter(map(type, outcomes)) == {Receipt: 190, InvalidRecipient: 10}
    arrived = Counter((message["Message-ID"], message["Delivered-To"]) for message in postfix.delivered(190))
    accepted = [
        message for message, outcome in zip(messages, outcomes, strict=True) if isinstance(outcome, Receipt)
    ]
    assert arrived == {(f"<{message.reference}@pafar.example>", message.to): 1 for message in accepted}


def test_a_refused_recipient_and_one_too_large_do_not_hinder_the_next(
    postfix: Postfix, provider: SmtpProvider
) -> None:
    with pytest.raises(InvalidRecipient) as caught:
        provider.send(email(1, to="nobody@mail.example"))
    assert caught.value.code == "550 5.1.1"
    with pytest.raises(Rejected) as relay:
        provider.send(email(2, to="someone@elsewhere.example"))
    assert relay.value.code == "554 5.7.1"
    with pytest.raises(Rejected, match="octets"):
        provider.send(email(3, text="x" * 2_000_001))
    provider.send(email(4))
    assert [message["Message-ID"] for message in postfix.delivered(1)] == ["<0192e4c0-0004@pafar.example>"]
