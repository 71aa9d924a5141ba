"""One-time codes by the settings: so many to a number in ten minutes and a day, and for which site."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.config import get_settings
from app.core.database import transaction
from app.maintenance import small_tables
from app.messages.kinds import KINDS
from app.notifications import circuit, submit
from app.notifications.deliver import deliver
from app.notifications.outcome import Outcome, Postponed, Sent, Skipped
from app.providers.errors import Transient
from app.providers.memory import MemorySms
from app.tasks.sms_tasks import send_otp_sms
from tests import data
from tests.house import PAYLOAD_KEY, House
from tests.rows import change, due_again, row, rows

OTP, TEXT = KINDS["otp_sms"], KINDS["booking_confirmation_sms"]
ADA, EVE = "+2348031234567", "+2348031234568"
NEW_KEY = base64.b64encode(b"another-thirty-two-bytes-of-key!").decode()
#: Generous: the machine may be busy with something else.
SOON = 30.0

Setting = Callable[[str, str | None], None]


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    """Gives a variable another value in this process, until the test ends."""

    def change_it(name: str, value: str | None) -> None:
        monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name)
        get_settings.cache_clear()

    yield change_it
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture(autouse=True)
def _documented_limits(house: House, setting: Setting) -> None:
    change("TRUNCATE otp_sends")
    setting("OTP_LIMIT_PER_10_MINUTES", None)
    setting("OTP_LIMIT_PER_DAY", None)


def accepted(number: str = ADA) -> UUID:
    return submit.accept_now(OTP, data.otp() | {"phone_number": number})


def sent(number: str = ADA, count: int = 1) -> list[bool]:
    """Whether each of so many codes went out."""
    outcomes = [deliver(accepted(number)) for _ in range(count)]
    assert all(isinstance(outcome, Sent | Skipped) for outcome in outcomes)
    return [isinstance(outcome, Sent) for outcome in outcomes]


def counted() -> list[Any]:
    with transaction() as connection:
        return list(connection.execute(text("SELECT notification_id, number FROM otp_sends")))


def later(what: str) -> None:
    """So long ago everything is that was counted."""
    change("UPDATE otp_sends SET created_at = created_at - CAST(:what AS interval)", what=what)


def test_the_fourth_code_in_ten_minutes_is_not_sent_and_says_why(gateway: MemorySms) -> None:
    assert sent(count=3) == [True] * 3
    message_id = accepted()
    outcome = deliver(message_id)
    assert isinstance(outcome, Skipped)
    assert outcome.result == {
        "success": True,
        "skipped": "limited",
        "message": "Not sent: this number was sent 3 codes within 10 minutes, the most allowed",
    }
    message = row(message_id) or {}
    assert (message["status"], message["reason"], message["payload"]) == ("skipped", "limited", {})
    assert len(gateway.sent) == 3
    later("1 minute")
    assert sent() == [False]
    later("9 minutes")
    assert sent(count=4) == [True, True, True, False]


def test_the_eleventh_code_in_a_day_is_not_sent(gateway: MemorySms) -> None:
    for _ in range(10):
        assert sent() == [True]
        later("2 hours")
    outcome = deliver(accepted())
    assert isinstance(outcome, Skipped)
    assert "10 codes within 24 hours" in outcome.result["message"]
    later("7 hours")
    assert sent(count=2) == [True, True]  # the first two were more than a day ago
    assert len(gateway.sent) == 12


def test_other_numbers_and_other_texts_are_not_limited(gateway: MemorySms) -> None:
    assert sent(ADA, 4) == [True, True, True, False]
    assert sent(EVE, 4) == [True, True, True, False]
    assert isinstance(deliver(submit.accept_now(TEXT, data.sms())), Sent)
    assert len(counted()) == 6


def test_a_retry_counts_once_and_is_not_stopped_by_itself(gateway: MemorySms) -> None:
    for _ in range(3):
        message_id = accepted()
        for _ in range(3):
            gateway.script.append(Transient("try later"))
            assert isinstance(deliver(message_id), Postponed)
            circuit.close_all()
            change("UPDATE notifications SET not_before = clock_timestamp() WHERE status = 'queued'")
        assert isinstance(deliver(message_id), Sent)
    assert len(counted()) == len(gateway.sent) == 3
    assert sent() == [False]


def test_a_code_that_expired_before_it_went_does_not_count(gateway: MemorySms) -> None:
    message_id = accepted()
    change("UPDATE notifications SET valid_until = clock_timestamp()")
    assert isinstance(deliver(message_id), Skipped)
    assert sent(count=3) == [True] * 3


def test_workers_that_send_at_the_same_time_do_not_exceed_the_limit(gateway: MemorySms) -> None:
    start = Barrier(8)

    def send(message_id: UUID) -> Outcome:
        start.wait()
        return deliver(message_id)

    with ThreadPoolExecutor(8) as pool:
        for last in range(10):
            messages = [accepted(f"+234803123456{last}") for _ in range(8)]
            outcomes = list(pool.map(send, messages))
            assert sum(isinstance(outcome, Sent) for outcome in outcomes) == 3
            assert sum(isinstance(outcome, Skipped) for outcome in outcomes) == 5
    assert len(gateway.sent) == len(counted()) == 30


def test_two_real_workers_share_the_count_and_celery_sees_successes(house: House) -> None:
    documented = {"OTP_LIMIT_PER_10_MINUTES": "3", "OTP_LIMIT_PER_DAY": "10"}
    results = [send_otp_sms.delay(**data.otp(f"40{number:04}")) for number in range(12)]
    with house.worker("-n", "one@%h", **documented), house.worker("-n", "two@%h", **documented):
        told = [result.get(timeout=SOON) for result in results]
    assert {result.state for result in results} == {"SUCCESS"}
    assert sorted(result.get("skipped", "") for result in told) == [""] * 3 + ["limited"] * 9
    assert len(house.ledger.entries("sms")) == 3


def test_nought_is_no_limit_and_notes_nothing(gateway: MemorySms, setting: Setting) -> None:
    setting("OTP_LIMIT_PER_10_MINUTES", "0")
    assert sent(count=11) == [True] * 10 + [False]
    setting("OTP_LIMIT_PER_DAY", "0")
    change("TRUNCATE otp_sends")
    assert sent(count=11) == [True] * 11
    assert counted() == []


def test_the_number_lies_nowhere_in_clear_nor_under_a_plain_hash(gateway: MemorySms) -> None:
    sent()
    [(_, number)] = counted()
    assert "8031234567" not in number
    assert number not in {hashlib.sha256(form.encode()).hexdigest() for form in (ADA, ADA[1:], ADA[4:])}
    change("TRUNCATE otp_sends")
    sent()
    assert counted()[0][1] == number


def test_a_new_key_does_not_reset_the_count(gateway: MemorySms, setting: Setting) -> None:
    assert sent(count=2) == [True, True]
    setting("PAYLOAD_KEYS", f"{NEW_KEY},{PAYLOAD_KEY}")
    assert sent(count=2) == [True, False]
    setting("PAYLOAD_KEYS", f"{PAYLOAD_KEY},{NEW_KEY}")  # a worker that is not told yet which is the newest
    assert sent() == [False]


def test_a_code_that_can_not_be_counted_waits(gateway: MemorySms) -> None:
    message_id = accepted()
    with transaction() as other:
        other.execute(text("LOCK TABLE otp_sends"))
        assert isinstance(deliver(message_id), Postponed)
    assert gateway.sent == []
    due_again()
    assert isinstance(deliver(message_id), Sent)


def test_what_counts_no_more_is_forgotten(gateway: MemorySms) -> None:
    sent()
    later("20 hours")
    old = {message["id"] for message in rows()}
    month = timedelta(days=30)
    assert small_tables.clean(month)["otp_sends"] == 0
    later("5 hours")
    sent()
    assert small_tables.clean(month)["otp_sends"] == 1
    assert len(counted()) == 1
    assert not old & {message_id for message_id, _ in counted()}


def test_a_code_ends_in_the_line_of_the_site_that_is_set(gateway: MemorySms, setting: Setting) -> None:
    setting("WEB_OTP_DOMAIN", "pafar.example")
    sent()
    assert gateway.sent[0].text.splitlines()[-1] == "@pafar.example #493817"
