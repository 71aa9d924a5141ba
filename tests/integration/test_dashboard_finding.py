"""The operators' pages: messages found by whom they are for, and many failures sent again at once."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

from app.messages.kinds import KINDS
from app.notifications import submit
from app.notifications.deliver import deliver
from app.notifications.outcome import Failed
from app.providers.errors import Rejected
from app.providers.memory import MemorySms
from sandbox.standins.script import answer
from tests import data
from tests.house import House, wait_until
from tests.operators import Operator, recorded
from tests.rows import change, row, slow_updates
from tests.tasks import SOON

SMS, OTP, EMAIL = (KINDS[kind] for kind in ("booking_confirmation_sms", "otp_sms", "booking_confirmation_email"))
NUMBER, OTHER = "+2348031234567", "+2348037654321"


def found(operator: Operator, recipient: str, **more: str) -> list[UUID]:
    page = operator.press("/messages/find", recipient=recipient, **more)
    assert page.status == 200, page.text
    assert page.headers["cache-control"] == "no-store"
    assert not [part for part in ("803123", "803765", "ada@") if part in page.text.lower()]
    return [UUID(message_id) for message_id in re.findall(r'href="/messages/([0-9a-f-]{36})"', page.text)]


def test_messages_are_found_by_number_and_address_and_that_is_recorded(grace: Operator, house: House) -> None:
    mine = [submit.accept_now(SMS, data.sms()) for _ in range(2)]
    submit.accept_now(SMS, {**data.sms(), "phone_number": OTHER})
    mail = submit.accept_now(EMAIL, data.email())
    for given in (NUMBER, "0803 123 4567", "00234 803-1234567"):
        assert found(grace, given) == mine[::-1]
    assert recorded() == [("grace", "find", message_id) for message_id in mine[::-1] * 3]
    assert found(grace, " ADA@Example.com ") == [mail]
    assert "Found by its recipient" in grace.get(f"/messages/{mail}").text
    logs = b"".join(log.read_bytes() for log in house.folder.glob("uvicorn-*.log"))
    assert b"/messages/find" in logs
    assert not [secret for secret in (b"8031234567", b"example.com") if secret in logs]


def test_a_search_that_finds_nothing_is_recorded_too(grace: Operator) -> None:
    assert found(grace, "bola@example.com") == found(grace, OTHER) == []
    assert recorded() == [("grace", "find", None)] * 2
    assert grace.get("/actions").text.count("nothing was found") == 2


def test_codes_are_found_where_they_were_counted(grace: Operator, house: House) -> None:
    with house.worker(OTP_LIMIT_PER_DAY="100"):
        code = submit.accept_now(OTP, data.otp())
        wait_until(lambda: (row(code) or {})["status"] == "sent", SOON)
    assert found(grace, NUMBER) == [code]
    assert found(grace, OTHER) == []


def test_how_far_back_is_the_askers_to_say(grace: Operator) -> None:
    message_id = submit.accept_now(SMS, data.sms())
    change("UPDATE notifications SET created_at = created_at - :ago", ago=timedelta(days=2))
    assert found(grace, NUMBER) == [message_id]
    assert found(grace, NUMBER, days="1") == []
    assert grace.press("/messages/find", recipient=NUMBER, days="3000").status == 422


def test_nonsense_and_strangers_find_nothing(grace: Operator, url: str) -> None:
    for nonsense in ("", "nobody", "12", "ada@", "'; DROP TABLE notifications"):
        refused = grace.press("/messages/find", recipient=nonsense)
        assert refused.status == 422
        assert "recipient: must be" in refused.text
    assert grace.press("/messages/find", token="0" * 64, recipient=NUMBER).status == 403
    assert Operator(url, None).press("/messages/find", token="", recipient=NUMBER).status == 401
    assert recorded() == []


def failed(gateway: MemorySms, reason: str) -> UUID:
    message_id = submit.accept_now(SMS, data.sms())
    gateway.script.append(Rejected(reason))
    assert isinstance(deliver(message_id), Failed)
    return message_id


def test_all_of_a_sort_are_sent_again_and_each_is_recorded(grace: Operator, gateway: MemorySms) -> None:
    spam = [failed(gateway, "spam") for _ in range(3)]
    other = failed(gateway, "too long & <odd>")
    page = grace.get("/failures").text
    assert "Send 3 again" in page
    assert "too long &amp; &lt;odd&gt;" in page
    form = {"kind": SMS.name, "reason": "Rejected: spam", "days": "1"}
    wrong = grace.press("/failures/replay", **form, number="2")
    assert wrong.status == 409
    assert "it would be 3 by now, not 2" in wrong.text
    assert {(row(m) or {})["status"] for m in spam} == {"failed"}
    assert recorded() == []
    assert grace.press("/failures/replay", **form, number="3").status == 303
    assert {(row(m) or {})["status"] for m in spam} == {"queued"}
    assert (row(other) or {})["status"] == "failed"
    assert sorted(recorded()) == sorted(("grace", "replay", message_id) for message_id in spam)
    assert "Send 3 again" not in grace.get("/failures").text
    odd = form | {"reason": "Rejected: too long & <odd>", "number": "1"}
    assert grace.press("/failures/replay", **odd).status == 303
    assert (row(other) or {})["status"] == "queued"


def test_sending_many_again_may_take_longer_than_a_page(grace: Operator, gateway: MemorySms) -> None:
    message_id = failed(gateway, "spam")
    form = {"kind": SMS.name, "reason": "Rejected: spam", "days": "1", "number": "1"}
    with slow_updates(seconds=2):
        assert grace.press("/failures/replay", **form).status == 303
    assert (row(message_id) or {})["status"] == "queued"


def test_the_button_needs_the_token_and_the_whole_form(grace: Operator, gateway: MemorySms) -> None:
    message_id = failed(gateway, "spam")
    form = {"kind": SMS.name, "reason": "Rejected: spam", "days": "1", "number": "1"}
    assert grace.press("/failures/replay", token="0" * 64, **form).status == 403
    for lacking in form:
        assert grace.press("/failures/replay", **{k: v for k, v in form.items() if k != lacking}).status == 422
    assert (row(message_id) or {})["status"] == "failed"
    assert recorded() == []


def test_what_can_not_be_sent_again_is_only_counted(grace: Operator, house: House) -> None:
    house.sms.script.append(answer(400, {"error": "spam"}))
    with house.worker():
        code = submit.accept_now(OTP, data.otp())
        wait_until(lambda: (row(code) or {})["status"] == "failed", SOON)
    page = grace.get("/failures").text
    assert "One-time codes, of which nothing is kept: 1." in page
    assert "Send 1 again" not in page
