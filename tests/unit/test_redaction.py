"""What is kept or logged names nobody."""

from __future__ import annotations

import pytest

from app.core.redaction import redact


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("550 5.1.1 <ada.obi+bus@mail.example.com>: unknown", "550 5.1.1 <[email]>: unknown"),
        ("550 no such user <zoë@bücher.example>", "550 no such user <[email]>"),
        ("no route to +234 803 123 4567", "no route to [phone]"),
        ("08031234567 is not valid", "[phone] is not valid"),
        (f"token {'dK3:APA91b_' * 6} is gone", "token [secret] is gone"),
    ],
)
def test_addresses_numbers_and_tokens_go(said: str, kept: str) -> None:
    assert redact(said) == kept


@pytest.mark.parametrize(
    "said",
    [
        "451 4.7.1 try again later",
        "Transient: the server closed the connection (421)",
        "message 01a209f9-e8fc-7754-be35-2453de539d4a of PF7K2QXM",
        "QUOTA_EXCEEDED, wait 60 s",
        "celery@worker-1.pafar.ng ready.",
        "Connected to redis://:**@127.0.0.1:6379/1",
        "valid until 2026-11-24T03:21:20.123456+00:00",
        "valid until 2026-11-24 03:21:20.123456+00",
    ],
)
def test_codes_ids_and_references_stay(said: str) -> None:
    assert redact(said) == said
