"""`python -m sandbox.pictures`: sends messages of each kind, and takes docs/pictures of what passengers see, then
of the operators' pages. With `passengers` or `operators`, only of these.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
from pathlib import Path
from typing import Any

from sandbox.console import Screen
from sandbox.demo import Desk
from sandbox.environment import ROOT
from sandbox.house import House
from sandbox.inbox.app import Inbox
from sandbox.pictures import operators
from sandbox.pictures.camera import Camera, camera, pdf_page, save, together
from sandbox.pictures.samples import Message, messages

_PICTURES = ROOT / "docs/pictures"
_PATIENCE = 60.0  # seconds for a message to arrive
_DESKTOP, _PHONE, _TABLET, _WINDOW = 640, 360, 560, 1280  # pixels

#: The e-mails' pictures, in the order in which they are sent.
_EMAILS = ("email-receipt", "email-cancellation", "email-confirmation")


def main() -> int:
    """Take the pictures; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.pictures")
    parser.add_argument("of", nargs="?", choices=("passengers", "operators"), help="without: of both")
    of = parser.parse_args().of
    screen = Screen()
    with tempfile.TemporaryDirectory(prefix="pafar-pictures-") as name, camera() as chromium:
        folder = Path(name)
        folder.chmod(0o755)  # the database's own account must get in
        with House(folder, screen) as house:
            if of != "operators":
                _passengers(house, chromium, screen)
            if of != "passengers":
                operators.take(house, chromium, _PICTURES, screen)
    return 0


def _passengers(house: House, chromium: Camera, screen: Screen) -> None:
    with _inbox(house) as inbox:
        for message in messages():
            _send(house, message)
        screen.say("all messages received", f"{len(house.ledger.entries())}")
        _take(house, inbox.url, chromium)


def _inbox(house: House) -> Inbox:
    return Inbox(house.ledger, book=Desk(house).book, operators=house.api.pages, port=None)


def _send(house: House, message: Message) -> None:
    """Send it and wait till it is there: the page has them in this order. Raises ApiError, TimeoutError."""
    kind, arguments = message
    before = len(house.ledger.entries())
    house.api.send(kind, arguments)
    if not house.ledger.wait(after=before, timeout=_PATIENCE):
        raise TimeoutError(f"{kind}: not received after {_PATIENCE:.0f} s; {house.log_tails()}")


def _take(house: House, url: str, chromium: Camera) -> None:
    mails = house.ledger.entries("email")
    for name, mail in zip(_EMAILS, mails, strict=True):
        alone = f"{url}/messages/{mail['n']}"
        views = [
            [chromium.page(alone, width=width, scheme=scheme) for width in (_DESKTOP, _PHONE)]
            for scheme in ("light", "dark")
        ]
        save(together(*views), _PICTURES / f"{name}.png")
    receipt, _, confirmation = mails
    save(together([pdf_page(_pdf(confirmation)), pdf_page(_pdf(receipt))]), _PICTURES / "documents.png")
    phones = [chromium.element(url, f".{channel}-screen", width=_TABLET) for channel in ("sms", "push")]
    save(together(phones, ground=phones[0].getpixel((0, 0))), _PICTURES / "phones.png")
    save(chromium.page(url, width=_WINDOW, height=900), _PICTURES / "inbox.png")


def _pdf(mail: dict[str, Any]) -> bytes:
    contents = (a["content_base64"] for a in mail["attachments"] if a["content_type"] == "application/pdf")
    return base64.b64decode(next(contents))


if __name__ == "__main__":
    sys.exit(main())
