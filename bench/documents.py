"""What does making an e-mail cost? `python -m bench.documents`: one thread, each message another booking.

Prints CPU milliseconds (median and 95th percentile) for the whole e-mail and for its parts, and writes
bench/results/documents.json. Compilers and templates are warm, as in a worker that has sent its first message.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.messages.documents import calendar
from app.messages.documents.receipt import receipt
from app.messages.documents.ticket import qr_code, ticket
from app.messages.kinds import KINDS
from app.messages.payloads import Defaults, validate
from app.messages.render import render_email
from app.notifications.channels.email import compose
from app.providers.mime import build
from tests import data

MESSAGES, WARM_UP = 200, 5
DEFAULTS = Defaults(currency="NGN", locale="en_NG", timezone="Africa/Lagos", phone_region=None)
CONFIRMATION, RECEIPT = KINDS["booking_confirmation_email"], KINDS["payment_receipt_email"]
SENDER = "Pafar <tickets@pafar.example>"
RESULTS = Path(__file__).parent / "results" / "documents.json"

STEPS: dict[str, Callable[[int], object]] = {
    "a confirmation, from payload to bytes": lambda n: build(compose(str(n), CONFIRMATION, _booking(n)), SENDER),
    "- its text and HTML": lambda n: render_email(CONFIRMATION, _booking(n)),
    "- its ticket": lambda n: ticket(_booking(n)),
    "- of that the QR code": lambda n: qr_code(f"PF{n:06}"),
    "- its calendar entry": lambda n: calendar.confirmed(_booking(n).booking_data, organizer=None),
    "a receipt, from payload to bytes": lambda n: build(compose(str(n), RECEIPT, _payment(n)), SENDER),
    "- its PDF": lambda n: receipt(_payment(n)),
}


def main() -> None:
    """Measure every step MESSAGES times."""
    figures = {name: _measure(step) for name, step in STEPS.items()}
    lines = [f"{'CPU ms':<40}{'median':>10}{'p95':>10}"]
    lines += [f"{name:<40}{median:>10.2f}{high:>10.2f}" for name, (median, high) in figures.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"messages": MESSAGES, "cpu_ms": figures}, indent=1))


def _measure(step: Callable[[int], object]) -> tuple[float, float]:
    """(median, 95th percentile) in ms of CPU; no two messages are alike, so no compiler's memory helps."""
    spent = []
    for n in range(WARM_UP + MESSAGES):
        began = time.process_time()
        step(n)
        spent.append((time.process_time() - began) * 1000)
    return statistics.median(spent[WARM_UP:]), statistics.quantiles(spent[WARM_UP:], n=20)[-1]


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


if __name__ == "__main__":
    main()
