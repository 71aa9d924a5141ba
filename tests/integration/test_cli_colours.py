"""What an operator sees of `pafar stats` and `pafar tail` on a terminal, and a script of the same in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

from app.messages.kinds import KINDS
from app.notifications import submit
from app.notifications.deliver import deliver
from app.providers.errors import Rejected
from app.providers.memory import MemorySms
from tests import data
from tests.house import ROOT, House, wait_until
from tests.integration.test_cli_campaigns import tail
from tests.integration.test_commands import pafar

SMS = KINDS["booking_confirmation_sms"]
SOON = 30.0
RED, GREEN, ANY = "\x1b[1;31m", "\x1b[32m", "\x1b["


@contextmanager
def on_a_terminal(house: House, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], bytearray]]:
    """The command on a terminal of its own, and what that has shown so far."""
    ours, theirs = pty.openpty()
    shown = bytearray()

    def read() -> None:
        with suppress(OSError):  # the other end is closed
            while part := os.read(ours, 4096):
                shown.extend(part)

    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=house.folder,
        env=environment | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "120"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    reader = Thread(target=read)
    reader.start()
    try:
        yield process, shown
    finally:
        process.kill()
        process.wait()
        reader.join()
        os.close(ours)


def ended(gateway: MemorySms) -> None:
    """One message was sent, another failed."""
    for error in (None, Rejected("spam")):
        if error:
            gateway.script.append(error)
        deliver(submit.accept_now(SMS, data.sms()))


def test_stats_tells_good_from_bad_by_colour_on_a_terminal_only(house: House, gateway: MemorySms) -> None:
    ended(gateway)
    with on_a_terminal(house, "stats") as (process, shown):
        assert process.wait(SOON) == 0
        wait_until(lambda: b"In the broker" in shown, SOON)
    seen = shown.decode()
    assert RED in seen
    assert GREEN in seen
    assert ANY not in pafar(house, "stats").stdout


def test_tail_tells_good_from_bad_by_colour_on_a_terminal_only(house: House, gateway: MemorySms) -> None:
    reason = "Rejected: spam"
    with on_a_terminal(house, "tail") as (_, shown), tail(house) as (_, printed):
        wait_until(lambda: b"Following" in shown and "Following" in printed.read_text(), SOON)

        def told() -> bool:
            ended(gateway)  # until both have begun to look
            return reason.encode() in shown and reason in printed.read_text()

        wait_until(told, SOON)
    seen = shown.decode()
    assert f"{RED}failed" in seen
    assert f"{GREEN}sent" in seen
    plain = printed.read_text()
    assert ANY not in plain
    assert any(f"failed  {SMS.name}  {reason}" in line for line in plain.splitlines())
