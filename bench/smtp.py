"""How fast e-mail leaves: 25 ms round trip, STARTTLS and login, 60 kB a message.

Beside the usual way (a connection, STARTTLS, login and QUIT for each message, by smtplib): what 32 threads send
through one provider, to a server that offers CHUNKING, one that offers only PIPELINING, one that offers neither.
The server and the network's delay are in a process of their own; every message must have arrived once.
"""

from __future__ import annotations

import multiprocessing
import smtplib
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email import message_from_bytes
from functools import partial
from multiprocessing.connection import Connection
from random import Random
from typing import Any

from app.providers.base import Attachment, Email
from app.providers.mime import build
from app.providers.smtp import SmtpProvider
from bench.measure import Figures, Row, Target, alone, at_least, compare, in_turn, rounds_of
from sandbox.standins.ledger import Ledger
from sandbox.standins.smtp import SmtpStandIn
from sandbox.standins.tls import Authority
from tests.faults.proxy import FaultProxy
from tests.house import House

ROUND_TRIP, THREADS = 0.025, 32
EXTENSIONS = {"CHUNKING": ("PIPELINING", "CHUNKING"), "PIPELINING": ("PIPELINING",), "neither": ()}
SENDER, USER, PASSWORD = "Pafar <no-reply@pafar.example>", "pafar", "s3cret"
USUAL = "a connection for each"
RATE, CPU, CONNECTIONS = "messages/s", "CPU ms a message", "connections"
TARGETS: dict[str, Target] = {"CHUNKING, one session": at_least(40), "PIPELINING, one session": at_least(5)}
LIMIT = f"one round trip a message would be {1 / ROUND_TRIP:.0f} a second on a session"


def measure(house: House, smoke: bool) -> list[Row]:
    """Messages a second, CPU and connections of each way."""
    many, few = (32, 2) if smoke else (1_000, 40)
    ways = {USUAL: partial(_run, house.authority, "PIPELINING", few, _usual)}
    for offer in list(EXTENSIONS)[:1] if smoke else EXTENSIONS:
        ways[f"{offer}, one session"] = partial(_run, house.authority, offer, many, _one_session)
        ways[f"{offer}, as it comes"] = partial(_run, house.authority, offer, many, _as_it_comes)
    runs = in_turn(ways, rounds_of(smoke))
    rows = []
    for name in list(ways)[1:]:
        limit = LIMIT if name in TARGETS else ""
        rows.append(compare(runs, name, USUAL, RATE, target=TARGETS.get(name), limit=limit))
        rows += [compare(runs, name, USUAL, CPU), alone(runs, name, CONNECTIONS)]
    return rows


def _run(authority: Authority, offer: str, count: int, send: Callable[..., None]) -> Figures:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=_serve, args=(authority, EXTENSIONS[offer], theirs), daemon=True)
    server.start()
    port = ours.recv()
    messages = [_confirmation(number) for number in range(count)]
    started, cpu = time.monotonic(), time.process_time()
    send(port, authority, messages)
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    ours.send("how much?")
    arrived, connections = ours.recv()
    server.join()
    if arrived != sorted(f"<{message.reference}@pafar.example>" for message in messages):
        raise RuntimeError(f"{offer}: {count} messages went, {len(arrived)} arrived, not each of them once")
    return {RATE: count / seconds, CPU: cpu / count * 1000, CONNECTIONS: connections}


def _serve(authority: Authority, extensions: tuple[str, ...], asked: Connection) -> None:
    """A mail server at the other end of a long line, until asked what came."""
    ledger = Ledger()
    with ExitStack() as stack:
        options: dict[str, Any] = {"user": USER, "password": PASSWORD, "extensions": extensions}
        server = stack.enter_context(SmtpStandIn(ledger, authority, reader=_message_id, **options))
        line = stack.enter_context(FaultProxy(server.port))
        line.delay(ROUND_TRIP / 2)
        asked.send(line.port)
        asked.recv()
        asked.send((sorted(entry["message_id"] for entry in ledger.entries()), server.connection_count))


def _message_id(content: bytes) -> dict[str, Any]:
    head, _, _ = content.partition(b"\r\n\r\n")
    return {"message_id": message_from_bytes(head)["Message-ID"]}


def _confirmation(number: int) -> Email:
    """A booking confirmation's sizes: 2 kB of text, 12 kB of HTML, a ticket of 30 kB, a calendar entry."""
    noise = Random(number)
    return Email(
        reference=f"0192e4c0-{number:06}",
        to=f"passenger-{number}@mail.example",
        subject="Booking confirmed: Lagos → Abuja",
        text="Your seat is booked. " * 100,
        html="<p>Your seat is booked.</p>" * 450,
        attachments=(
            Attachment(filename="ticket.pdf", content_type="application/pdf", content=noise.randbytes(30_000)),
            Attachment(filename="trip.ics", content_type="text/calendar", content=b"BEGIN:VCALENDAR\r\n" * 60),
        ),
    )


def _usual(port: int, authority: Authority, messages: list[Email]) -> None:
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    for message in messages:
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.starttls(context=context)
            client.login(USER, PASSWORD)
            client.sendmail("no-reply@pafar.example", message.to, build(message, SENDER))


def _one_session(port: int, authority: Authority, messages: list[Email]) -> None:
    _by_provider(port, authority, messages, max_sessions=1)


def _as_it_comes(port: int, authority: Authority, messages: list[Email]) -> None:
    _by_provider(port, authority, messages)


def _by_provider(port: int, authority: Authority, messages: list[Email], **limits: int) -> None:
    provider = SmtpProvider(
        host="127.0.0.1",
        port=port,
        security="starttls",
        user=USER,
        password=PASSWORD,
        sender=SENDER,
        ca_file=str(authority.ca_file),
        **limits,
    )
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(provider.send, messages))
    provider.close()
