"""Tickets and receipts: what their pages show, and that the QR code can be read from them."""

from __future__ import annotations

import base64
import re
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.messages.base import InvalidPayload
from app.messages.documents.attached import Documents, documents
from app.messages.documents.given import MAX_PDF_BYTES
from app.messages.kinds import KINDS
from app.messages.payloads import dump, validate
from tests.pdf import code, document, words
from tests.unit.samples import DEFAULTS, arguments

TICKET, RECEIPT = KINDS["booking_confirmation_email"], KINDS["payment_receipt_email"]
A_PDF = b"%PDF-1.7\n\xff\x00 anything\n%%EOF\n"
NAME = "Adébáyọ̀ Ọláṣùnkànmí"


def made(kind: Any = TICKET, attachment: Any = None, user_name: str = NAME, **changes: Any) -> Documents:
    """The documents of one e-mail; `changes` go into its data."""
    given = arguments(kind) | {"user_name": user_name}
    for name in [name for name in given if name.endswith("_data")]:
        given[name] = given[name] | changes
    if attachment is not None:
        given["receipt_attachment"] = attachment
    return documents(validate(kind, given, DEFAULTS), organizer=None)


def content(kind: Any = TICKET, **changes: Any) -> bytes:
    """The one PDF."""
    [file] = made(kind, **changes).files
    assert file.content_type == "application/pdf"
    return file.content


def test_a_ticket_shows_what_was_booked() -> None:
    text = words(content())
    for fact in (
        "Lagos",
        "Abuja",
        NAME,
        "Thu 24 Dec 2026, 09:00 WAT",
        "Thu 24 Dec 2026, 19:30 WAT",
        "Seats 12, 13",
    ):
        assert fact in text
    for fact in ("LAG-212-XY · Yutong ZK6122", "₦30,000.00", "PF7K2QXM", "30 minutes before departure", "an ID"):
        assert fact in text


def test_a_ticket_leaves_out_what_is_not_known() -> None:
    text = words(content(arrival_time=None, bus_info=None, seats=["7"]))
    assert "Seat 7" in text
    assert not {"Arrives", "Bus", "None"} & set(text.split())


@pytest.mark.parametrize("reference", ["PF7K2QXM", "W" * 40, "a/b\\c\"'<&>"])
def test_the_code_on_a_ticket_is_the_booking_reference(reference: str) -> None:
    assert code(content(booking_reference=reference)) == reference


def test_a_ticket_for_ten_people_with_long_names_is_one_page() -> None:
    pdf = content(
        user_name="Oluwaseun Adébáyọ̀-Ògúnlẹ́yẹ " * 6,
        origin="Port Harcourt, Waterlines Terminal",
        destination="W" * 200,
        seats=[f"{row}A" for row in range(1, 11)],
    )
    assert len(document(pdf)) == 1
    assert "1A, 2A, 3A, 4A, 5A, 6A, 7A, 8A, 9A, 10A" in words(pdf)
    assert code(pdf) == "PF7K2QXM"


def _rightmost(pdf: bytes) -> float:
    """Where the rightmost letter of the first page ends, as a part of its width."""
    page = document(pdf)[0]
    text = page.get_textpage()
    return float(max(text.get_charbox(at)[2] for at in range(text.count_chars())) / page.get_width())


@pytest.mark.parametrize("field", ["origin", "destination", "bus_info"])
@pytest.mark.parametrize("value", ["W" * 200, "W" * 18, "Wẹ́ " * 50, "W-" * 100])
def test_no_name_runs_off_a_ticket(field: str, value: str) -> None:
    assert _rightmost(content(**{field: value})) < 0.92


def test_no_word_runs_off_a_receipt() -> None:
    long = {"payment_method": "m" * 200, "status": "w" * 200, "transaction_id": "t" * 64}
    pdf = content(RECEIPT, user_name="W" * 200, amount="999999999999.99", currency="XOF", locale="fr", **long)
    assert _rightmost(pdf) < 0.92
    assert len(document(pdf)) == 1


def test_a_receipt_shows_the_payment() -> None:
    text = words(content(RECEIPT))
    for fact in ("Payment received", "₦30,000.00", "card", "completed", "TX-0192E4C0", "PF7K2QXM", NAME):
        assert fact in text
    assert "Sun 20 Dec 2026, 14:05 WAT" in text


@pytest.mark.parametrize(
    ("status", "headline"),
    [("failed", "Payment failed"), ("REFUNDED", "Payment refunded"), ("on hold", "hold")],
)
def test_a_receipt_claims_no_more_than_the_status(status: str, headline: str) -> None:
    text = words(content(RECEIPT, status=status))
    assert headline in text
    assert not re.search("received(?<!No money was received)", text)
    assert ("Payment receipt" in text) == (status == "REFUNDED")
    assert ("Keep this receipt" in text) == (status == "REFUNDED")


def test_the_same_payment_gives_the_same_bytes_and_another_gives_others() -> None:
    first = content(RECEIPT)
    content(RECEIPT, amount=5)
    assert content(RECEIPT) == first
    assert document(first).get_metadata_value("CreationDate").startswith("D:20261220130500")
    assert content(RECEIPT, payment_date="2026-12-20T14:06:00+01:00") != first


def test_documents_are_for_archives_and_screen_readers() -> None:
    for kind, title in ((TICKET, "E-ticket PF7K2QXM"), (RECEIPT, "Payment receipt TX-0192E4C0")):
        pdf = content(kind)
        assert document(pdf).get_metadata_value("Title") == title
        assert document(pdf).is_tagged()
        for claim in (b"<pdfaid:part>2</pdfaid:part>", b"<pdfuaid:part>1</pdfuaid:part>", b"/Lang(en)"):
            assert claim in pdf.replace(b"/Lang (en)", b"/Lang(en)")


def test_a_character_that_no_font_has_costs_the_standards_and_not_the_ticket() -> None:
    pdf = content(user_name="李雷 😀")
    assert b"pdfaid" not in pdf
    assert code(pdf) == "PF7K2QXM"


@pytest.mark.parametrize("name", ["عمر بن عبد العزيز", "አበበ በቂላ", "Ŋọ́zị Ɓàlá", "Ελένη Дми́трий"])
def test_names_in_the_scripts_of_the_lines_are_printed(name: str) -> None:
    assert b"pdfaid" in content(user_name=name)


hostile = st.text(min_size=1, max_size=200).filter(lambda text: text.strip()) | st.sampled_from(
    ["#panic()", "#import sys", "$x$", '"}', "*a* _b_ `c` @d <e>", "\\u{0}", "#{values}", "= H", "- x", "/ a: b"]
)


@settings(deadline=None, max_examples=60)
@given(hostile, hostile, hostile)
def test_hostile_words_stay_words(name: str, origin: str, bus: str) -> None:
    try:
        pdf = content(user_name=name, origin=origin, bus_info=bus)
    except InvalidPayload:
        return
    assert code(pdf) == "PF7K2QXM"


def test_markup_is_printed_as_it_stands() -> None:
    text = words(content(user_name='#panic("x") *b* $y$ <b>'))
    assert '#panic("x") *b* $y$ <b>' in text


def test_many_threads_make_documents_at_once() -> None:
    codes: list[str] = []

    def make(number: int) -> None:
        codes.append(code(content(booking_reference=f"PF{number}")))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == sorted(f"PF{number}" for number in range(16))


@pytest.mark.parametrize("given", [A_PDF, base64.b64encode(A_PDF).decode(), base64.encodebytes(A_PDF).decode()])
def test_a_receipt_that_is_given_is_attached_unchanged(given: bytes | str) -> None:
    assert content(RECEIPT, attachment=given) == A_PDF


def test_a_receipt_that_is_given_survives_the_row() -> None:
    payload = validate(RECEIPT, arguments(RECEIPT) | {"receipt_attachment": A_PDF}, DEFAULTS)
    stored = dump(payload)
    assert stored["receipt_attachment"] == base64.b64encode(A_PDF).decode()
    assert validate(RECEIPT, stored, DEFAULTS) == payload


def test_ten_megabytes_are_taken_and_not_a_byte_more() -> None:
    largest = A_PDF + b" " * (MAX_PDF_BYTES - 2 * len(A_PDF)) + A_PDF
    assert content(RECEIPT, attachment=largest) == largest
    with pytest.raises(InvalidPayload, match=r"receipt_attachment: must have at most 10485760 bytes \(10 MB\)"):
        made(RECEIPT, attachment=b" " + largest)


@pytest.mark.parametrize(
    "given",
    [b"", "", b"hello", "not base64!", A_PDF[1:], A_PDF[:-8], b"x" * 1024 + A_PDF, A_PDF + b"x" * 1024, 5, ["x"]],
)
def test_what_is_no_whole_pdf_is_refused(given: Any) -> None:
    with pytest.raises(InvalidPayload, match="receipt_attachment: must be a PDF file"):
        made(RECEIPT, attachment=given)


@pytest.mark.parametrize(("kind", "stem"), [(TICKET, "ticket"), (RECEIPT, "receipt")])
def test_a_file_is_named_after_its_reference_on_any_system(kind: Any, stem: str) -> None:
    reference = '../a\\b:"c".pdf'
    [file] = made(kind, booking_reference=reference, transaction_id=reference).files
    assert file.filename == f"{stem}--a-b-c-pdf.pdf"


def test_a_repr_shows_nothing_personal() -> None:
    assert "%PDF" not in repr(made())


def test_a_ticket_is_small() -> None:
    assert len(content()) < 60_000
