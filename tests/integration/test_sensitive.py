"""A one-time code lies nowhere in clear, is gone when its message is final, and is sent once at most."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.broker import WakeUp, broker
from app.core.config import get_settings
from app.core.database import dispose, statement, transaction
from app.core.errors import DatabaseUnavailable, SettingsError
from app.core.sealing import CannotOpen
from app.messages.kinds import KINDS
from app.notifications import store, submit
from app.notifications.deliver import deliver
from app.notifications.outcome import Failed, Postponed, Sent, Skipped, Unanswered
from app.providers.errors import InvalidRecipient, OutcomeUnknown, ProviderError, Transient
from app.providers.memory import MemorySms
from app.tasks.base import DeliveryFailed, OutcomeNotKnown
from app.tasks.sms_tasks import send_otp_sms
from sandbox.standins.script import ACCEPT_THEN_DROP, answer
from tests import data
from tests.house import PAYLOAD_KEY, House, wait_until
from tests.rows import change, due_again, row, rows, to_do

OTP, SMS = KINDS["otp_sms"], KINDS["booking_confirmation_sms"]

#: Seven digits: rare enough by chance, and too few to be masked as a phone number's.
CODE, PHONE = "8402957", "8031234567"
NEW_KEY = base64.b64encode(b"another-thirty-two-bytes-of-key!").decode()
#: Generous: the machine may be busy with something else.
SOON = 30.0

pytestmark = pytest.mark.usefixtures("house")

Setting = Callable[[str, str], None]


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    """Gives a variable another value in this process, until the test ends."""

    def change_it(name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        dispose()

    yield change_it
    monkeypatch.undo()
    get_settings.cache_clear()
    dispose()


def accepted() -> UUID:
    return submit.accept_now(OTP, data.otp(CODE))


def status(message_id: UUID | str) -> tuple[str, Any]:
    message = row(message_id) or {}
    return message["status"], message["payload"]


def database() -> str:
    """Every row of the tables that a message leaves a trace in, as text."""
    tables = ("notifications", "outbox", "idempotency_keys", "subjects")
    with transaction() as connection:
        return "\n".join(str(r) for t in tables for r in connection.execute(text(f"SELECT t::text FROM {t} t")))


@contextmanager
def listening(house: House) -> Iterator[list[str]]:
    """What every client says to the broker and the result store within the block."""
    said: list[str] = []
    with house.valkey_client(1).monitor() as seen:
        yield said
        house.valkey_client(1).echo("that is all")
        for command in seen.listen():
            said.append(str(command))
            if "that is all" in said[-1]:
                return


def assert_hidden(where: str) -> None:
    for secret in (CODE, PHONE):
        for form in (secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode().rstrip("=")):
            assert form not in where


def test_the_code_lies_nowhere_but_in_the_text(house: House) -> None:
    refusal = {"error": {"code": "rejected", "message": f"refused: {CODE} is your code, +234{PHONE}"}}
    with listening(house) as said, house.worker():
        result = send_otp_sms.delay(**data.otp(CODE))
        assert_hidden(database())
        sent = result.get(timeout=SOON)
        house.sms.script.append(answer(400, refusal))
        with pytest.raises(DeliveryFailed) as failure:
            send_otp_sms.delay(**data.otp(CODE)).get(timeout=SOON)
    [received] = house.ledger.entries("sms")
    assert CODE in received["message"]
    assert sent == {"success": True, "message": "Otp sms sent", "sms_id": received["id"]}
    log = max(house.folder.glob("celery-*.log"), key=lambda path: path.stat().st_mtime).read_text()
    assert len(said) > 10
    assert "outcome=Sent" in log
    for place in (database(), "\n".join(said), log, f"{sent} {failure.value!r}"):
        assert_hidden(place)


OUTCOMES = [(None, Sent), (InvalidRecipient("no such number"), Failed), (OutcomeUnknown(), Unanswered)]


@pytest.mark.parametrize(("error", "outcome"), OUTCOMES)
def test_the_payload_is_wiped_once_the_message_is_final(
    gateway: MemorySms, error: ProviderError | None, outcome: type
) -> None:
    message_id = accepted()
    gateway.script += [error] if error else []
    assert isinstance(deliver(message_id), outcome)
    assert status(message_id) == (outcome.__name__.lower().replace("unanswered", "unknown"), {})
    assert to_do() == []


def test_while_a_retry_waits_the_payload_is_kept_sealed(gateway: MemorySms) -> None:
    message_id = accepted()
    gateway.script.append(Transient("try later"))
    assert isinstance(deliver(message_id), Postponed)
    assert_hidden(database())
    due_again()
    assert isinstance(deliver(message_id), Sent)
    assert CODE in gateway.sent[0].text


def test_a_code_that_has_expired_is_not_sent_and_wiped(gateway: MemorySms) -> None:
    message_id = accepted()
    change("UPDATE notifications SET valid_until = clock_timestamp() - interval '1 minute'")
    outcome = deliver(message_id)
    assert isinstance(outcome, Skipped)
    assert outcome.result["skipped"] == "expired"
    assert (gateway.sent, status(message_id)) == ([], ("skipped", {}))


def test_a_code_lives_ten_minutes_and_the_provider_is_told(gateway: MemorySms) -> None:
    message_id = accepted()
    message = row(message_id) or {}
    assert (message["valid_until"] - message["created_at"]).total_seconds() == pytest.approx(600, abs=5)
    deliver(message_id)
    assert 0 < (gateway.sent[0].valid_for or 0) <= 600


def test_a_payload_that_was_moved_to_another_row_does_not_open(gateway: MemorySms) -> None:
    mine, theirs = accepted(), submit.accept_now(OTP, data.otp("111111"))
    change("UPDATE notifications SET payload = (SELECT payload FROM notifications WHERE id = :id)", id=mine)
    with pytest.raises(CannotOpen):
        deliver(theirs)
    assert status(theirs) == ("failed", {})
    assert isinstance(deliver(mine), Sent)
    assert len(gateway.sent) == 1


def test_the_key_can_be_changed_while_messages_wait(gateway: MemorySms, setting: Setting) -> None:
    before = accepted()
    setting("PAYLOAD_KEYS", f"{NEW_KEY},{PAYLOAD_KEY}")
    after = accepted()
    assert isinstance(deliver(before), Sent)
    setting("PAYLOAD_KEYS", NEW_KEY)
    assert isinstance(deliver(after), Sent)
    assert [CODE in sent.text for sent in gateway.sent] == [True, True]


@pytest.mark.parametrize("keys", [PAYLOAD_KEY, ""])
def test_a_worker_that_does_not_have_the_key_yet_leaves_the_code_to_one_that_has(
    gateway: MemorySms, setting: Setting, keys: str
) -> None:
    setting("PAYLOAD_KEYS", NEW_KEY)
    message_id = accepted()
    setting("PAYLOAD_KEYS", keys)
    assert isinstance(deliver(message_id), Postponed)
    assert status(message_id)[0] == "queued"
    setting("PAYLOAD_KEYS", NEW_KEY)
    due_again()
    assert isinstance(deliver(message_id), Sent)
    assert CODE in gateway.sent[0].text


def test_a_code_whose_key_never_came_fails_at_its_end_and_is_wiped(gateway: MemorySms, setting: Setting) -> None:
    message_id = accepted()
    setting("PAYLOAD_KEYS", NEW_KEY)
    change("UPDATE notifications SET valid_until = clock_timestamp() + interval '1 second'")
    assert isinstance(deliver(message_id), Failed)
    assert (gateway.sent, status(message_id)) == ([], ("failed", {}))


def test_without_a_key_codes_are_refused_and_other_messages_work(gateway: MemorySms, setting: Setting) -> None:
    setting("PAYLOAD_KEYS", "")
    with pytest.raises(SettingsError, match="PAYLOAD_KEYS"):
        send_otp_sms.delay(**data.otp(CODE))
    assert rows() == []
    assert isinstance(deliver(submit.accept_now(SMS, data.sms())), Sent)


def test_with_the_database_away_a_code_is_refused_and_nothing_is_published(house: House, setting: Setting) -> None:
    setting("DATABASE_URL", "postgresql://postgres@127.0.0.1:1/pafar")
    with listening(house) as said, pytest.raises(DatabaseUnavailable):
        send_otp_sms.delay(**data.otp(CODE))
    assert_hidden("\n".join(said))
    assert house.is_idle()


def test_a_code_without_an_answer_is_never_sent_again(house: House) -> None:
    house.sms.script.append(ACCEPT_THEN_DROP)
    with house.worker():
        result = send_otp_sms.delay(**data.otp(CODE))
        with pytest.raises(OutcomeNotKnown):
            result.get(timeout=SOON)
        assert (result.state, status(result.id)) == ("FAILURE", ("unknown", {}))
        broker.publish([WakeUp(result.id, OTP.task, OTP.queue, OTP.priority, 0.0)] * 3)
        wait_until(house.is_idle, SOON)
    assert status(result.id) == ("unknown", {})
    assert len(house.ledger.entries("sms")) == 1


@pytest.mark.parametrize("meanwhile", [timedelta(0), timedelta(minutes=20)])
def test_a_code_whose_worker_died_may_have_been_sent_and_is_not_sent_again(
    gateway: MemorySms, meanwhile: timedelta
) -> None:
    message_id = accepted()
    with statement() as connection:
        assert store.claim(connection, message_id)
    change(
        "UPDATE notifications SET lease_until = clock_timestamp(), valid_until = valid_until - :meanwhile",
        meanwhile=meanwhile,
    )
    assert isinstance(deliver(message_id), Unanswered)  # not "expired: not sent", which nobody knows
    assert (gateway.sent, status(message_id)) == ([], ("unknown", {}))
