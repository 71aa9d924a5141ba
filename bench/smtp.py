"""How fast does e-mail leave? `python -m bench.smtp`: 25 ms round trip, STARTTLS and login, 60 kB a message.

Beside the usual way (a connection, STARTTLS, login and QUIT for each message, by smtplib), in turn: what 32
threads send through one provider, to a server that offers CHUNKING, one that offers only PIPELINING, one that
offers neither. The server and the network's delay are in a process of their own. Prints messages a second, the
ratios, and CPU milliseconds a message (this process); writes bench/results/smtp.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import smtplib
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email import message_from_bytes
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from app.providers.base import Attachment, Email
from app.providers.mime import build
from app.providers.smtp import SmtpProvider
from sandbox.standins.ledger import Ledger
from sandbox.standins.smtp import SmtpStandIn
from sandbox.standins.tls import Authority, issue
from tests.faults.proxy import FaultProxy

ROUND_TRIP, THREADS = 0.025, 32
EXTENSIONS = {"CHUNKING": ("PIPELINING", "CHUNKING"), "PIPELINING": ("PIPELINING",), "neither": ()}
#: (what the server offers, sessions at most; the provider's own number with None)
WAYS: list[tuple[str, int | None]] = [(offer, limit) for offer in EXTENSIONS for limit in (1, None)]
SENDER, USER, PASSWORD = "Pafar <no-reply@pafar.example>", "pafar", "s3cret"
RESULTS = Path(__file__).parent / "results" / "smtp.json"

Figures = tuple[float, float, float]  #: messages a second, connections, CPU ms a message


def main() -> None:
    """Every way, in turn, as often as asked."""
    options = _options()
    figures: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory() as folder:
        authority = issue(Path(folder))
        for _ in range(options.rounds):
            usual = _measure(authority, "PIPELINING", options.usual, _usual)
            figures.setdefault("a connection for each", []).append(usual)
            for offer, limit in WAYS:
                name = f"{offer}, {'one session' if limit else 'as it comes'}"
                send = _one_session if limit else _as_it_comes
                figures.setdefault(name, []).append(_measure(authority, offer, options.messages, send))
    _report(figures, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--usual", type=int, default=40, help="messages by the usual way")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def _measure(authority: Authority, offer: str, count: int, send: Callable[..., None]) -> Figures:
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
        raise SystemExit(f"{offer}: {count} messages went, {len(arrived)} arrived, not each of them once")
    return count / seconds, connections, cpu / count * 1000


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


def _report(figures: dict[str, list[Figures]], options: argparse.Namespace) -> None:
    medians = {name: tuple(map(statistics.median, zip(*runs, strict=True))) for name, runs in figures.items()}
    usual = [rate for rate, _, _ in figures["a connection for each"]]
    ratios = {
        name: [run[0] / base for run, base in zip(runs, usual, strict=True)] for name, runs in figures.items()
    }
    lines = [f"{'':<26}{'messages/s':>12}{'ratio':>8}{'spread':>14}{'connections':>13}{'CPU ms':>8}"]
    for name, (rate, connections, cpu) in medians.items():
        ratio, spread = statistics.median(ratios[name]), f"{min(ratios[name]):.1f} to {max(ratios[name]):.1f}"
        lines.append(f"{name:<26}{rate:>12.1f}{ratio:>8.1f}{spread:>14}{connections:>13.0f}{cpu:>8.1f}")
    sys.stdout.write("\n".join(lines) + "\n")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**vars(options), "round_trip_s": ROUND_TRIP, "runs": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
