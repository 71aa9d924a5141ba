"""Pushing to many: a bulk push through rows, claims and records, and the provider's client alone.

Beside firebase-admin's `send_each_for_multicast`, 500 tokens a call, pointed at the same server: nginx in a
process of its own, over TLS and HTTP/2, which answers after 50 ms. Every token must have arrived once.
firebase-admin mounts its pool of 100 connections for Google's address alone; elsewhere it makes do with ten, and
opens most anew. So it is measured as it comes, and with its pool, as a user of Google's server has it. libcurl
with nothing around it, which posts what was made before and reads no answer, is what no client of it undercuts.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID

from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import campaign_store, submit
from bench.measure import (
    Figures,
    Rounds,
    Row,
    Target,
    alone,
    at_least,
    at_most,
    compare,
    cpu_seconds,
    in_turn,
    rounds_of,
)
from bench.nginx import Nginx
from bench.push_clients import (
    BATCH,
    BODY,
    TITLE,
    Client,
    by_firebase_admin,
    by_firebase_admin_mounted,
    by_libcurl,
    by_provider,
)
from bench.sending import PATIENCE
from tests.house import House, wait_until

WAIT, REQUESTS = 0.05, 300
#: Seconds after which nginx has surely written the last body.
LOGGED = 0.5
WHOLE, CLOSED, CLIENT = (
    "a bulk push, whole",
    "a bulk push, GOAWAY every 300 requests",
    "the provider's client alone",
)
FIREBASE, MOUNTED, LIBCURL = "firebase-admin", "firebase-admin with its pool", "libcurl alone"
RATE, CPU, DATABASE_CPU = "tokens/s", "CPU s a 1,000", "PostgreSQL's CPU s a 1,000"
TARGETS: list[tuple[str, str, Target]] = [
    (WHOLE, RATE, at_least(8)),
    (WHOLE, CPU, at_most(1 / 10)),
    (CLIENT, RATE, at_least(14)),
    (CLIENT, CPU, at_most(1 / 24)),
]


def measure(house: House, smoke: bool) -> list[Row]:
    """Rates and CPU of each; what was lost and doubled."""
    tokens, few = (1_000, 500) if smoke else (100_000, 5_000)
    with ExitStack() as stack:
        start = partial(Nginx, authority=house.authority, wait=WAIT)
        server = stack.enter_context(start(house.folder / "nginx"))
        closing = stack.enter_context(start(house.folder / "closing", requests=REQUESTS))
        ways = {
            WHOLE: partial(_whole, house, server, tokens),
            CLOSED: partial(_whole, house, closing, tokens),
            CLIENT: partial(_client, house, server, by_provider, tokens),
        }
        ways[LIBCURL] = partial(_client, house, server, by_libcurl, tokens)
        if find_spec("firebase_admin"):
            ways[FIREBASE] = partial(_client, house, server, by_firebase_admin, few)
            ways[MOUNTED] = partial(_client, house, server, by_firebase_admin_mounted, few)
        runs = in_turn(ways, rounds_of(smoke))
    rows = [compare(runs, way, LIBCURL, unit) for way in (CLIENT, WHOLE) for unit in (RATE, CPU)]
    rows += [alone(runs, WHOLE, DATABASE_CPU), *_astray(runs), compare(runs, CLOSED, WHOLE, RATE)]
    return [*_beside(runs), *rows]


def _beside(runs: Rounds) -> list[Row]:
    """Beside those of firebase-admin that ran."""
    return [
        compare(runs, way, beside, unit, target=target)
        for beside in (FIREBASE, MOUNTED)
        if beside in runs
        for way, unit, target in TARGETS
    ]


def _astray(runs: Rounds) -> list[Row]:
    """Of all rounds together: one message astray in one of them is one too many."""
    return [
        Row(what=way, unit=unit, ours=[sum(run[unit] for run in runs[way])], target=at_most(0))
        for way in (WHOLE, CLOSED, CLIENT)
        for unit in ("lost", "doubled")
    ]


def _whole(house: House, server: Nginx, number: int) -> Figures:
    """From the call to the result, on a plain worker."""
    house.clean()
    server.forget()
    path = str(account(house, server))
    with house.worker(FCM_BASE_URL=server.url, FIREBASE_CREDENTIALS_PATH=path) as worker:
        pids = (worker.pid, house.postgres.pid)
        before = [cpu_seconds(pid) for pid in pids]
        started = time.monotonic()
        campaign = submit.accept_now(KINDS["bulk_push_notification"], bulk(number))
        wait_until(lambda: _finished(campaign), PATIENCE)
        seconds = time.monotonic() - started
        used = [cpu_seconds(pid) - earlier for pid, earlier in zip(pids, before, strict=True)]
    costs = dict(zip((CPU, DATABASE_CPU), (spent / number * 1000 for spent in used), strict=True))
    return {RATE: number / seconds, **costs, **_arrived(server, tokens(number))}


def _client(house: House, server: Nginx, send: Client, number: int) -> Figures:
    """In a process of its own, after a first batch that opens the connections."""
    server.forget()
    warm, each = tokens(BATCH, "warm"), tokens(number)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        arguments = (server.url, str(house.authority.ca_file), str(account(house, server)), warm, each)
        seconds, cpu = process.submit(send, *arguments).result()
    return {RATE: number / seconds, CPU: cpu / number * 1000, **_arrived(server, each)}


def _arrived(server: Nginx, expected: list[str]) -> Figures:
    """How many of the tokens did not arrive, and how many more times than once the others did."""
    time.sleep(LOGGED)
    found = Counter(body["message"]["token"] for body in server.accepted())
    return {
        "lost": sum(token not in found for token in expected),
        "doubled": sum(found[token] - 1 for token in expected if token in found),
    }


def _finished(campaign: UUID) -> bool:
    time.sleep(0.2)
    with transaction() as connection:
        return campaign_store.progress(connection, campaign).finished


def tokens(number: int, name: str = "") -> list[str]:
    """As long as FCM's."""
    return [f"{name}{n:0>22}:APA91b{n:0>134}" for n in range(number)]


def bulk(number: int) -> dict[str, Any]:
    """The arguments of a bulk push to so many, a device each."""
    users = {str(n): [token] for n, token in enumerate(tokens(number))}
    return {"notification_data": {"user_tokens": users, "title": TITLE, "body": BODY}}


def account(house: House, server: Nginx) -> Path:
    """The house's service account, with nginx as the one that grants access."""
    account = json.loads(Path(house.environment["FIREBASE_CREDENTIALS_PATH"]).read_text())
    path = server.data_dir / "account.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(account | {"token_uri": f"{server.url}/token"}))
    return path
