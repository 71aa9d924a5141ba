"""What making an e-mail costs, and its parts: CPU of one thread, each message another booking.

Compilers and templates are warm, as in a worker that has sent its first message.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from app.messages.documents import calendar
from app.messages.documents.receipt import receipt
from app.messages.documents.ticket import qr_code, ticket
from app.messages.kinds import KINDS
from app.messages.payloads import Defaults, validate
from app.messages.render import render_email
from app.notifications.channels.email import compose
from app.providers.mime import build
from bench.measure import Figures, Row, Target, alone, at_most, in_turn, percentile, rounds_of
from tests import data
from tests.house import House

WARM_UP = 5
DEFAULTS = Defaults(currency="NGN", locale="en_NG", timezone="Africa/Lagos", phone_region=None)
CONFIRMATION, RECEIPT = KINDS["booking_confirmation_email"], KINDS["payment_receipt_email"]
SENDER = "Pafar <tickets@pafar.example>"
MEDIAN, P95 = "CPU ms", "CPU ms, p95"
_numbers = count()

STEPS: dict[str, Callable[[int], object]] = {
    "a confirmation, from payload to bytes": lambda n: build(compose(str(n), CONFIRMATION, _booking(n)), SENDER),
    "- its text and HTML": lambda n: render_email(CONFIRMATION, _booking(n)),
    "- its ticket": lambda n: ticket(_booking(n)),
    "- of that the QR code": lambda n: qr_code(f"PF{n:06}"),
    "- its calendar entry": lambda n: calendar.confirmed(_booking(n).booking_data, organizer=None),
    "a receipt, from payload to bytes": lambda n: build(compose(str(n), RECEIPT, _payment(n)), SENDER),
    "- its PDF": lambda n: receipt(_payment(n)),
}
TARGETS: dict[str, Target] = {
    "a confirmation, from payload to bytes": at_most(20),
    "- its PDF": at_most(12),
}


def measure(_: House, smoke: bool) -> list[Row]:
    """Milliseconds of every step."""
    messages = 5 if smoke else 200
    runs = in_turn({name: partial(_run, step, messages) for name, step in STEPS.items()}, rounds_of(smoke))
    rows = [(alone(runs, name, MEDIAN, target=TARGETS.get(name)), alone(runs, name, P95)) for name in STEPS]
    return [row for pair in rows for row in pair]


def _run(step: Callable[[int], object], messages: int) -> Figures:
    """No two messages are alike, so no compiler's memory helps."""
    spent = []
    for _ in range(WARM_UP + messages):
        n = next(_numbers)
        began = time.process_time()
        step(n)
        spent.append((time.process_time() - began) * 1000)
    return {MEDIAN: percentile(spent[WARM_UP:], 50), P95: percentile(spent[WARM_UP:], 95)}


def _booking(n: int) -> Any:
    booking = data.booking_data(booking_reference=f"PF{n:06}", seats=[str(n % 50 + 1)], total_amount=15_000 + n)
    arguments = {"user_email": "ada@example.com", "user_name": f"Ada Obi {n}", "booking_data": booking}
    return validate(CONFIRMATION, arguments, DEFAULTS)


def _payment(n: int) -> Any:
    payment = {
        "transaction_id": f"TX-{n:08}",
        "booking_reference": f"PF{n:06}",
        "amount": 15_000 + n,
        "payment_method": "card",
        "payment_date": data.DEPARTURE.isoformat(),
        "status": "completed",
    }
    arguments = {"user_email": "ada@example.com", "user_name": f"Ada Obi {n}", "payment_data": payment}
    return validate(RECEIPT, arguments, DEFAULTS)
