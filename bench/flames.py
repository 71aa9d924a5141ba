"""Where a worker's time goes on the two hottest paths: a text through the whole house, and a bulk push's tokens.

py-spy looks 200 times a second which thread of a plain worker holds the interpreter, which is what one worker has
one of, while it works off a list that is full at once; gateway and FCM are nginx. A row is the share of the looks
that found a function, or what it calls. The graphs: ![](pictures/flame_texts.svg) ![](pictures/flame_push.svg)
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from app.core.broker import broker
from app.messages.kinds import KINDS
from app.notifications import submit
from bench import push
from bench.measure import Row
from bench.nginx import Nginx
from bench.sending import accept_texts
from tests.house import House
from tests.programs import program

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
RATE = 200  #: looks a second
UNIT = "% of looks"
#: What it is → the function in py-spy's words. What stands further in is a part of what stands further out.
TEXT = {
    "a text: Celery's whole run of the task": "trace_task (celery/app/trace.py)",
    "a text: the delivery": "deliver (app/notifications/deliver.py)",
    "a text: its attempt": "_attempt (app/notifications/deliver.py)",
    "a text: the client": "send (app/providers/sms_http.py)",
    "a text: its statements": "execute (app/core/prepared.py)",
    "a text: our log lines": "_proxy_to_logger (structlog/_base.py)",
    "a text: HTTP's own thread": "_run (app/providers/http_engine.py)",
}
PUSH = {
    "a push: the delivery": "deliver (app/notifications/deliver.py)",
    "a push: the client": "send (app/providers/fcm.py)",
    "a push: HTTP's own thread": "_run (app/providers/http_engine.py)",
    "a push: waiting, and libcurl": "turn (app/providers/http_transfers.py)",
}
#: The name without its class, the file without the line.
_FRAME = re.compile(r"<title>(?:[^<( ]+[.;])?(\w+ \([^<:)]+):\d+\) \([\d,]+ samples, ([\d.]+)%\)</title>")


def measure(house: House, smoke: bool) -> list[Row]:
    """Draw both, and say what they show."""
    seconds, folder = (2, house.folder) if smoke else (15, PICTURES)
    with Nginx(house.folder / "nginx", authority=house.authority, wait=push.WAIT) as fcm:
        with Nginx(house.folder / "gateway") as gateway:
            to_texts = house.worker(SMS_API_URL=f"{gateway.url}/messages")
            texts = _draw(house, to_texts, partial(_text, 200 * seconds), folder / "flame_texts.svg", seconds)
        path = str(push.account(house, fcm))
        to_fcm = house.worker(FCM_BASE_URL=fcm.url, FIREBASE_CREDENTIALS_PATH=path)
        pushes = _draw(house, to_fcm, partial(_push, 10_000 * seconds), folder / "flame_push.svg", seconds)
    return [*_shares(TEXT, texts), *_shares(PUSH, pushes)]


def _draw(
    house: House,
    worker: AbstractContextManager[subprocess.Popen[bytes]],
    fill: Callable[[], None],
    picture: Path,
    seconds: int,
) -> str:
    """The flame graph of so many seconds' work, as SVG."""
    house.clean()
    with worker as process:
        fill()
        who = ["--pid", str(process.pid), "--gil", "--function"]
        how = ["--duration", str(seconds), "--rate", str(RATE), "--output", str(picture)]
        command = [program("py-spy"), "record", *who, *how]
        subprocess.run(command, check=True, capture_output=True)
    drawn = picture.read_text(encoding="utf-8").replace(" ".join(command), picture.stem)  # its title
    picture.write_text(drawn, encoding="utf-8")
    return drawn


def _text(number: int) -> None:
    broker.publish(accept_texts(number))


def _push(tokens: int) -> None:
    submit.accept_now(KINDS["bulk_push_notification"], push.bulk(tokens))


def _shares(functions: dict[str, str], picture: str) -> list[Row]:
    frames = _FRAME.findall(picture)
    return [
        Row(what=what, unit=UNIT, ours=[sum(float(share) for name, share in frames if f"{name})" == function)])
        for what, function in functions.items()
    ]
