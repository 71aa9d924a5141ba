"""The operators' pages over HTTP: who comes in, what buttons do and leave behind."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest

from app.messages.kinds import KINDS
from app.notifications import submit
from app.notifications.deliver import deliver
from app.notifications.outcome import Failed, Postponed, Sent
from app.providers.errors import Rejected, Transient
from app.providers.memory import MemorySms
from tests import data
from tests.operators import PAGES, PERSONAL, Operator, recorded
from tests.rows import change, row

SMS = KINDS["booking_confirmation_sms"]


def failed(gateway: MemorySms, reason: str = "spam") -> UUID:
    message_id = submit.accept_now(SMS, data.sms())
    gateway.script.append(Rejected(reason))
    assert isinstance(deliver(message_id), Failed)
    return message_id


def status(message_id: UUID) -> Any:
    return (row(message_id) or {})["status"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_holders_of_the_key_and_keeps_to_itself(grace: Operator, url: str, path: str) -> None:
    assert Operator(url, None).get(path).status == 401
    assert Operator(url, key="wrong").get(path).status == 401
    page = grace.get(path)
    assert page.status == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<script>| style=| on\w+=", page.text)


def test_a_failed_message_is_found_and_sent_again_by_a_button(grace: Operator, gateway: MemorySms) -> None:
    message_id = failed(gateway)
    found = grace.get("/messages?reference=pf7k2qxm&status=failed").text
    assert f"/messages/{message_id}" in found
    page = f"/messages/{message_id}"
    assert "spam" in grace.get(page).text
    theirs = submit.accept_now(SMS, data.sms(booking_reference="pf-12ab"))
    assert str(theirs) in grace.get("/messages?reference=pf-12ab").text
    answer = grace.press(f"{page}/replay", page=page)
    assert (answer.status, answer.headers["location"]) == (303, page)
    assert status(message_id) == "queued"
    assert recorded() == [("grace", "replay", message_id)]
    assert isinstance(deliver(message_id), Sent)
    after = grace.get(page).text
    in_order = ("Accepted</strong>", "Taken by a worker", "Put back to be sent again", "Accepted by the provider")
    assert [after.index(words) for words in in_order] == sorted(after.index(words) for words in in_order)
    assert "by grace" in after
    again = grace.press(f"{page}/replay", page=page)
    assert again.status == 409
    assert "has not failed" in again.text
    assert recorded() == [("grace", "replay", message_id)]


def test_a_button_needs_the_token_of_a_page_of_ours(grace: Operator, url: str, gateway: MemorySms) -> None:
    message_id = failed(gateway)
    page = f"/messages/{message_id}"
    for token in ("", "0" * 64, Operator(url, "mallory").token(page)):
        refused = grace.press(f"{page}/replay", token=token)
        assert refused.status == 403
        assert "reload it" in refused.text
    assert Operator(url, "grace", key="wrong").press(f"{page}/replay", token=grace.token(page)).status == 401
    assert Operator(url, "").press(f"{page}/replay", page=page).status == 403
    assert status(message_id) == "failed"
    assert recorded() == []


@pytest.mark.parametrize(
    ("kind", "arguments", "recipient"),
    [
        ("booking_confirmation_sms", data.sms(), "+2348031234567"),
        ("booking_confirmation_email", data.email(), "ada@example.com"),
        ("booking_confirmation_push", data.push(), "token-of-adas-phone"),
        ("otp_sms", data.otp(), "+2348031234567"),
    ],
)
def test_a_recipient_is_hidden_until_shown_and_that_is_recorded(
    grace: Operator, kind: str, arguments: dict[str, Any], recipient: str
) -> None:
    message_id = submit.accept_now(KINDS[kind], arguments)
    page = f"/messages/{message_id}"
    assert not [p for p in PERSONAL if p in grace.get(page).text]
    assert recorded() == []
    shown = grace.press(f"{page}/reveal", page=page)
    assert shown.status == 200
    assert recipient in shown.text
    assert "493817" not in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert recorded() == [("grace", "reveal", message_id)]
    assert not [p for p in PERSONAL if p in grace.get(page).text]
    assert "Recipient shown" in grace.get(page).text
    assert str(message_id) in grace.get("/actions").text


def test_nothing_is_shown_that_could_not_be_recorded(grace: Operator) -> None:
    message_id = submit.accept_now(SMS, data.sms())
    page = f"/messages/{message_id}"
    token = grace.token(page)
    change("ALTER TABLE operator_actions ADD CONSTRAINT full_up CHECK (false) NOT VALID")
    try:
        shown = grace.press(f"{page}/reveal", token=token)
    finally:
        change("ALTER TABLE operator_actions DROP CONSTRAINT full_up")
    assert shown.status == 500
    assert "2348031234567" not in shown.text


def test_the_timeline_says_what_it_waits_for(grace: Operator, gateway: MemorySms) -> None:
    message_id = submit.accept_now(SMS, data.sms())
    gateway.script.append(Transient("busy"))
    assert isinstance(deliver(message_id), Postponed)
    page = grace.get(f"/messages/{message_id}").text
    for word in ("Accepted", "Taken by a worker", "Postponed: Transient: busy", "Next attempt", "Loses its point"):
        assert word in page


def test_failures_of_a_kind_that_is_gone_are_counted(grace: Operator, gateway: MemorySms) -> None:
    change("UPDATE notifications SET kind = 'gone' WHERE id = :id", id=failed(gateway))
    assert "Of kinds that are no longer sent: 1." in grace.get("/failures").text


def test_a_search_pages_by_id_without_gap_or_double(grace: Operator) -> None:
    ids = [submit.accept_now(SMS, data.sms(booking_reference="PF22MANY")) for _ in range(60)]
    submit.accept_now(SMS, data.sms())
    seen: list[str] = []
    path: str | None = "/messages?reference=PF22MANY&kind=booking_confirmation_sms"
    while path:
        page = grace.get(path).text
        seen += re.findall(r'href="/messages/([0-9a-f-]{36})"', page)
        older = re.search(r'href="([^"]+)">Older', page)
        path = older[1].replace("&amp;", "&") if older else None
    assert seen == [str(message_id) for message_id in sorted(ids, reverse=True)]


def test_a_search_by_time_and_nonsense(grace: Operator) -> None:
    message_id = submit.accept_now(SMS, data.sms())
    before = "2020-01-01T00:00"
    assert str(message_id) in grace.get(f"/messages?since={before}").text
    assert str(message_id) not in grace.get(f"/messages?until={before}").text
    assert "No message fits" in grace.get("/messages?status=lost").text
    assert grace.get("/messages?since=yesterday").status == 422
    assert grace.get("/messages?before=nonsense").status == 404
    assert grace.get("/messages?reference=PF%00").status == 422
    assert grace.get("/messages?kind=%00").status == 422
    for moment in ("0024-01-15T10:00", "1969-12-31T23:59", "9999-12-31T23:59"):
        assert "give it as 2026-01-31T14:30" in grace.get(f"/messages?since={moment}").text
    assert grace.get("/messages/nonsense").status == 404
    assert grace.get("/messages/01900000-0000-7000-8000-000000000000").status == 404
    assert "<h1>Not Found</h1>" in grace.get("/messages/nonsense").text


def test_a_campaign_is_paused_resumed_and_cancelled(grace: Operator) -> None:
    notification = {"user_tokens": {"7": ["a", "b"]}, "title": "No buses", "body": "A strike."}
    campaign = submit.accept_now(KINDS["bulk_push_notification"], {"notification_data": notification})
    page = f"/campaigns/{campaign}"
    assert "0 of 2 devices reached" in grace.get("/campaigns").text
    for action, shown in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert grace.press(f"{page}/{action}", page="/campaigns").status == 303
        assert f"{shown}</span>" in grace.get("/campaigns").text
    token = grace.token(f"/messages/{campaign}")
    over = grace.press(f"{page}/pause", token=token)
    assert over.status == 409
    assert "is cancelled" in over.text
    assert grace.press(f"/campaigns/{UUID(int=7)}/pause", token=token).status == 404
    assert grace.press(f"{page}/replay", token=token).status == 404
    assert recorded() == [("grace", action, campaign) for action in ("pause", "resume", "cancel")]


def test_the_way_back_from_a_refusal_stays_on_these_pages(grace: Operator) -> None:
    for came_from, back in (
        ("https://pafar.test/messages?kind=x", "/messages"),
        ("https://x//evil.example/x", "/evil.example/x"),
        ("https://x/\\evil.example/x", "/evil.example/x"),
        ("", "/"),
    ):
        assert f'href="{back}">Back' in grace.get("/messages/nonsense", Referer=came_from).text


def test_a_stream_sends_the_live_part_and_ends(grace: Operator, gateway: MemorySms) -> None:
    message_id = failed(gateway)
    stream = grace.get("/messages?status=failed", Accept="text/event-stream")
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert str(message_id) in stream.text
    assert "<html" not in stream.text
    assert not [p for p in PERSONAL if p in stream.text]
    first = grace.get("/campaigns", Accept="text/event-stream").text  # nothing on it moves
    [last] = re.findall(r"^id: (\w+)$", first, re.M)
    assert "data: " not in grace.get("/campaigns", Accept="text/event-stream", **{"Last-Event-ID": last}).text
    assert grace.get(f"/messages/{UUID(int=7)}", Accept="text/event-stream").status == 404
