"""The receipt of a payment: what the passenger gets, and how a PDF of the caller's own gets there."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from app.core.celery_app import celery_app
from app.core.config import get_settings
from app.core.database import dispose
from app.tasks.email_tasks import send_payment_receipt_email
from tests.house import House
from tests.pdf import words
from tests.rows import row
from tests.tasks import SOON, refusal
from tests.test_email_tasks import files, received

#: Bytes that are no UTF-8, between the marks of a PDF.
A_PDF = b"%PDF-1.7\n" + bytes(range(256)) * 400 + b"\n%%EOF\n"

pytestmark = pytest.mark.usefixtures("worker")


def payment(**changes: Any) -> dict[str, Any]:
    """Arguments of a payment receipt."""
    made = {
        "transaction_id": "TX-0192E4C0",
        "booking_reference": "PF7K2QXM",
        "amount": "30000.00",
        "currency": "NGN",
        "payment_method": "card",
        "payment_date": "2026-11-20T14:05:00+01:00",
        "status": "completed",
    }
    return {"user_email": "ada@example.com", "user_name": "Ada Obi", "payment_data": made | changes}


def test_a_receipt_says_what_was_paid_and_brings_a_pdf(house: House) -> None:
    result = send_payment_receipt_email.delay(**payment()).get(timeout=SOON)
    assert result == {
        "success": True,
        "message": "Payment receipt email sent",
        "transaction_id": "TX-0192E4C0",
    }
    email = received(house)
    assert email["subject"].startswith("Payment received: ")
    for part in (email["text"], email["html"]):
        for said in (
            "Ada Obi",
            "TX-0192E4C0",
            "PF7K2QXM",
            "30,000.00",
            "card",
            "completed",
            "14:05 WAT",
            "attached",
        ):
            assert said in part
        assert "receipt is attached" in part
    [(name, pdf)] = files(email).items()
    assert name == "receipt-TX-0192E4C0.pdf"
    assert "TX-0192E4C0" in words(pdf)


def test_the_same_payment_has_the_same_receipt_however_often_it_is_sent(house: House) -> None:
    for _ in range(2):
        send_payment_receipt_email.delay(**payment()).get(timeout=SOON)
    first, second = house.ledger.entries("email")
    assert files(first) == files(second)


@pytest.mark.parametrize("given", [A_PDF, base64.b64encode(A_PDF).decode()], ids=["bytes", "base64"])
def test_a_receipt_that_is_given_arrives_byte_for_byte(house: House, given: bytes | str) -> None:
    result = send_payment_receipt_email.delay(**payment(), receipt_attachment=given)
    result.get(timeout=SOON)
    assert files(received(house)) == {"receipt-TX-0192E4C0.pdf": A_PDF}
    assert (row(result.id) or {})["payload"]["receipt_attachment"] == base64.b64encode(A_PDF).decode()


@pytest.fixture
def _no_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process's database is away; the worker's is not."""

    def read_again() -> None:
        get_settings.cache_clear()
        dispose()

    with monkeypatch.context() as away:
        away.setenv("DATABASE_URL", "postgresql://postgres@127.0.0.1:1/pafar")
        read_again()
        yield
    read_again()


@pytest.mark.usefixtures("_no_database")
def test_with_the_database_away_a_receipt_travels_through_the_broker(house: House) -> None:
    send_payment_receipt_email.delay(**payment(), receipt_attachment=A_PDF).get(timeout=SOON)
    assert files(received(house)) == {"receipt-TX-0192E4C0.pdf": A_PDF}


@pytest.mark.parametrize("given", [A_PDF, base64.b64encode(A_PDF).decode()], ids=["bytes", "base64"])
def test_another_program_may_give_the_receipt(house: House, given: bytes | str) -> None:
    arguments = payment() | {"receipt_attachment": given}
    celery_app.send_task(send_payment_receipt_email.name, kwargs=arguments).get(timeout=SOON)
    assert files(received(house)) == {"receipt-TX-0192E4C0.pdf": A_PDF}


@pytest.mark.parametrize("given", [b"hello", "hello", b"%PDF-" + b" " * 10 * 2**20 + b"%%EOF", 5])
def test_what_is_no_pdf_or_too_large_is_refused(given: Any) -> None:
    assert refusal(send_payment_receipt_email, payment() | {"receipt_attachment": given}) == {"receipt_attachment"}


def test_every_bad_field_of_a_payment_is_named() -> None:
    fields = ["transaction_id", "booking_reference", "amount", "payment_method", "payment_date", "status"]
    named = {f"payment_data.{field}" for field in fields}
    assert refusal(send_payment_receipt_email, payment() | {"payment_data": {}}) == named
    assert refusal(send_payment_receipt_email, payment(**dict.fromkeys(fields, True))) == named
