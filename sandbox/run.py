"""One run of the sandbox: everything started, bookings made and told, everything stopped."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue

from sandbox.api import ApiError
from sandbox.console import Screen
from sandbox.demo import Booking, Desk, Narrator
from sandbox.house import House
from sandbox.inbox.app import Inbox
from sandbox.processes import AlreadyRunning, ProcessFailed
from sandbox.servers.binaries import BinaryMissing

_BOOKINGS = 3  # made at the start
_LOOK = 0.5  # seconds between two looks at the processes


def run(folder: Path, *, once: bool, port: int | None, began: float) -> int:
    """Run until KeyboardInterrupt, or `once`; return the exit status. `began`: when, by time.monotonic()."""
    screen = Screen()
    house = House(folder, screen)
    screen.say("sandbox starting", str(house.folder), style="bold")
    try:
        with house:
            screen.say(f"ready in {time.monotonic() - began:.1f} s", style="bold")
            delivered = _use(house, screen, once=once, port=port)
    except KeyboardInterrupt:
        delivered = True
    except AlreadyRunning as error:
        screen.fail(f"{error}{_address_of(house)}")
        return 1
    except (BinaryMissing, OSError, ProcessFailed) as error:
        screen.fail(str(error))
        delivered = False
    screen.say("everything stopped", "nothing is left running")
    return 0 if delivered else 1


def _use(house: House, screen: Screen, *, once: bool, port: int | None) -> bool:
    """What the sandbox is for; a failure is told at once, before everything stops."""
    try:
        return _once(house, screen) if once else _serve(house, screen, port)
    except (ApiError, OSError, ProcessFailed) as error:
        screen.fail(str(error))
        return False


def _once(house: House, screen: Screen) -> bool:
    """Make one booking; return whether all its messages were received."""
    delivered = Narrator(house, screen).tell(Desk(house).book())
    if delivered:
        screen.say("all messages received", style="bold green")
    else:
        screen.fail(house.log_tails())
    return delivered


def _serve(house: House, screen: Screen, port: int | None) -> bool:
    """Make a few bookings, then tell of those made on the page, until interrupted."""
    desk, narrator = Desk(house), Narrator(house, screen)
    made: Queue[Booking] = Queue()

    def book() -> Booking:
        booking = desk.book()
        made.put(booking)
        return booking

    with Inbox(house.ledger, book=book, operators=house.api.pages, port=port) as inbox:
        house.address_file.write_text(inbox.url)
        for _ in range(_BOOKINGS):
            narrator.tell(desk.book())
        screen.addresses(
            ("Inbox", inbox.url, "what the passengers received, and a button to book another trip"),
            ("Operators", house.api.pages, "how every message stands, and buttons to send it again"),
            ("Logs", str(house.logs), "of each process"),
        )
        while True:
            house.check()
            with suppress(Empty):
                narrator.tell(made.get(timeout=_LOOK))


def _address_of(house: House) -> str:
    """Where the running sandbox's page is, if it has come that far."""
    try:
        return f"; its page is {house.address_file.read_text()}"
    except FileNotFoundError:
        return ""
