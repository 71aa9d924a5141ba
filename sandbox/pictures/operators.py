"""Pictures of the operators' pages: after a quarter of an hour of messages, and while a gateway is down."""

from __future__ import annotations

import math
import random
import time
from pathlib import Path

from sandbox.console import Screen
from sandbox.demo import Desk
from sandbox.house import House
from sandbox.pictures.camera import Camera, save, together
from sandbox.pictures.samples import messages
from sandbox.standins.script import answer, slow

_CALM, _OUTAGE = 780.0, 150.0  # seconds; an alert that stands for a minute is raised
_SWELL = 240.0  # seconds from one rush to the next
_MOST = 3.0  # messages a second in a rush
_REFUSALS, _BOOKINGS = 110.0, 20.0  # seconds between two of them
_WIDE, _PHONE = 1280, 390  # pixels
_LIVE = "#liveness.live"  # what a page shows once it follows what happens

_BLOCKED = answer(400, {"error": {"code": "blocked"}})
_DOWN = answer(503, {"error": {"code": "unavailable"}})


def take(house: House, chromium: Camera, folder: Path, screen: Screen) -> None:
    """Let the house work, photograph it, take its SMS gateway down, and photograph that."""
    screen.say("passengers travel", f"{_CALM:.0f} s")
    _work(house, _CALM, down=False)
    chromium.page(f"{house.api.pages}actions", width=_WIDE)  # signs in
    _calm(house, chromium, folder)
    screen.say("the SMS gateway is down", f"{_OUTAGE:.0f} s")
    _work(house, _OUTAGE, down=True)
    _incident(house, chromium, folder)


def _calm(house: House, chromium: Camera, folder: Path) -> None:
    url = house.api.url
    save(chromium.page(f"{url}/", width=_WIDE, ready=_LIVE), folder / "operators.png")
    phone = [chromium.page(f"{url}/", width=_PHONE, height=1500, scheme=s, ready=_LIVE) for s in ("light", "dark")]
    save(together(phone), folder / "operators-phone.png")
    chromium.page(f"{url}/messages?status=failed", width=_WIDE)
    failed = chromium.link('a[href^="/messages/"]')
    save(chromium.page(failed, width=_WIDE, ready=_LIVE), folder / "operators-message.png")
    for page in ("workers", "schedule"):
        save(chromium.page(f"{url}/{page}", width=_WIDE, ready=_LIVE), folder / f"operators-{page}.png")


def _incident(house: House, chromium: Camera, folder: Path) -> None:
    url = house.api.url
    save(chromium.page(f"{url}/", width=_WIDE, scheme="dark", ready=_LIVE), folder / "operators-dark.png")
    save(chromium.page(f"{url}/alerts", width=_WIDE, ready=_LIVE), folder / "operators-alerts.png")


def _work(house: House, seconds: float, *, down: bool) -> None:
    """Send for so long: in waves, some of it bookings, and now and then one that the gateway refuses."""
    desk, samples, chance = Desk(house), messages(), random.Random(7)  # noqa: S311 - the same each time
    began = time.monotonic()
    refused = booked = 0
    while (gone := time.monotonic() - began) < seconds:
        house.check()
        if down:
            house.stand_ins.sms.script.extend([_DOWN] * 20)
        elif gone > _REFUSALS * (refused + 1):
            house.stand_ins.sms.script.append(_BLOCKED)
            house.stand_ins.fcm.script.extend([slow(4.0)] * 40)
            refused += 1
        if gone > _BOOKINGS * booked:
            desk.book()
            booked += 1
        house.api.send(*chance.choice(samples))
        wave = 0.5 + 0.45 * math.sin(2 * math.pi * gone / _SWELL)
        # The traffic itself: passengers come by chance (Poisson), more and fewer of them in turn.
        time.sleep(chance.expovariate(_MOST * wave))
    house.stand_ins.sms.script.clear()
