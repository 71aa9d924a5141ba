"""What the stand-ins themselves can take, by an independent load generator (h2load): no bench's limit.

The benches of texts and pushes speak to nginx without a pause or with one, those of pools and workers to the
sandbox's gateway. Each request is a message as the product sends it; the generator has one thread.
"""

from __future__ import annotations

import re
import subprocess
from functools import partial
from pathlib import Path

import orjson

from bench.measure import Figures, Row, alone, in_turn, rounds_of
from bench.nginx import Nginx
from bench.push import tokens
from bench.push_clients import BODY, TITLE
from bench.tasks import TEXT
from tests.house import API_KEY, House
from tests.programs import program

UNIT = "requests/s"
FCM, GATEWAY = "nginx as FCM, TLS and HTTP/2", "nginx as gateway, HTTP/1.1"
SANDBOX_GATEWAY = "the sandbox's gateway, HTTP/1.1"
#: As the clients: 8 connections with 100 requests each, 32 with one each.
MULTIPLEXED, ONE_BY_ONE = ("-c", "8", "-m", "100"), ("--h1", "-c", "32")
_FINISHED = re.compile(r"finished in [\d.]+m?s, ([\d.]+) req/s")
_FAILED = re.compile(r"(\d+) failed, (\d+) errored")


def measure(house: House, smoke: bool) -> list[Row]:
    """Requests a second of each."""
    number = 1_000 if smoke else 50_000
    push = {
        "message": {"token": tokens(1)[0], "notification": {"title": TITLE, "body": BODY}, "data": {"nid": "1"}}
    }
    text = {"to": "+2348031234567", "message": TEXT, "from": "Pafar"}
    pushes, texts = _file(house, "push", push), _file(house, "text", text)
    with Nginx(house.folder / "fcm", authority=house.authority) as fcm, Nginx(house.folder / "gateway") as gateway:
        ways = {
            FCM: partial(_load, number, pushes, fcm.url, MULTIPLEXED),
            GATEWAY: partial(_load, number, texts, gateway.url, ONE_BY_ONE),
            SANDBOX_GATEWAY: partial(_load, number, texts, house.sms.url, ONE_BY_ONE),
        }
        runs = in_turn(ways, rounds_of(smoke))
    house.clean()
    return [alone(runs, name, UNIT) for name in ways]


def _file(house: House, name: str, body: object) -> Path:
    path = house.folder / f"{name}.json"
    path.write_bytes(orjson.dumps(body))
    return path


def _load(number: int, body: Path, url: str, connections: tuple[str, ...]) -> Figures:
    headers = ("-H", "content-type: application/json", "-H", f"authorization: Bearer {API_KEY}")
    command = [
        program("h2load", "nghttp2-client"),
        "-n",
        str(number),
        *connections,
        *headers,
        "-d",
        str(body),
        url,
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    finished, failed = _FINISHED.search(said), _FAILED.search(said)
    if not finished or not failed or failed.groups() != ("0", "0"):
        raise RuntimeError(f"h2load failed: {said}")
    return {UNIT: float(finished[1])}
