"""The reference says what the code does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from smsutil import split

from app.messages.base import Channel, Kind
from app.messages.kinds import CHUNKS, KINDS
from app.messages.payloads import Defaults, details, validate
from app.messages.render import TEMPLATES, render_sms
from tests.house import ROOT
from tests.unit.samples import arguments

KINDS_PAGE = ROOT / "docs/reference/kinds.md"
DEFAULTS = Defaults(currency="NGN", locale="en_NG", timezone="Africa/Lagos", phone_region=None)
#: The longest that happens: names of stations, a family's seats, a zone without an abbreviation.
LONG: dict[str, Any] = {
    "booking_reference": "PF7K2QXMBT",
    "origin": "Ouagadougou Gare Routière Centrale",
    "destination": "Bobo-Dioulasso Gare Routière",
    "departure_time": "2024-09-25T22:45:00+05:30",
    "new_departure_time": "2024-09-25T22:45:00+05:30",
    "seats": ["12A", "12B", "13A", "13B"],
    "total_amount": "1250000.50",
    "delay_minutes": 1440,
    "eta_minutes": 120,
}


def table() -> dict[str, dict[str, str]]:
    """The page's rows by task, each by column."""
    lines = [line for line in KINDS_PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    head, _, *body = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
    return {cells[0]: dict(zip(head, cells, strict=True)) for cells in body}


def segments(kind: Kind) -> str:
    """How many segments the longest realistic text takes; "-" for what is no text."""
    if kind.channel is not Channel.SMS:
        return "-"
    arguments = {
        "phone_number": "+2348031234567",
        "user_name": "Oluwaseun Adebayo-Ogunleye",
        "otp_code": "4938172056",
        "purpose": "password_reset",
        "booking_data": LONG,
        "trip_data": LONG,
    }
    parts = split(render_sms(kind, validate(kind, arguments, DEFAULTS), web_otp_domain="d" * 60))
    assert parts.encoding == "gsm0338"
    return str(len(parts.parts))


#: The keys of a message's data until whose time it may be worth sending, as the page calls them.
UNTIL = {
    "departure_time": "until departure",
    "new_departure_time": "until the new departure",
    "valid_until": "until `valid_until`",
}
#: Messages of a kind with a limit of their own, as the page calls them.
LIMITS: dict[str, dict[str, dict[str, Any]]] = {
    "trip_status_push": {"cancelled": {"status": "cancelled"}, "arriving": {"status": "arriving"}},
    "promotional_push": {"without it": {"valid_until": None}},
}


def worth_sending(kind: Kind, **changes: Any) -> str:
    """How long a message of this kind is, in the page's words."""
    payload = validate(kind, arguments(kind, **changes), DEFAULTS)
    limit, data = kind.validity(payload), details(payload)
    said = [words for key, words in UNTIL.items() if limit.until and getattr(data, key, None) == limit.until]
    minutes = int(limit.at_least.total_seconds()) // 60
    eta = getattr(data, "eta_minutes", None) or 0
    if minutes == 30 + eta and eta:
        said.append("30 min and the ETA after")
    elif minutes:
        days, hours = divmod(minutes // 60, 24)
        whole = f"{days} days" if days > 1 and not hours else f"{minutes // 60} h"
        said.append(f"{whole if minutes % 60 == 0 else f'{minutes} min'} after")
    return "; ".join(said)


def test_every_kind_has_its_row() -> None:
    assert list(table()) == [kind.task.removeprefix("app.tasks.") for kind in in_the_pages_order()]


def in_the_pages_order() -> list[Kind]:
    """By channel, each in the order of KINDS."""
    return [kind for channel in Channel for kind in KINDS.values() if kind.channel is channel]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_kinds_row_is_true(kind: Kind) -> None:
    row = table()[kind.task.removeprefix("app.tasks.")]
    said = (row["queue"], row["priority"], row["segments"], row["again"], row["supersedes"] != "-")
    again = "yes" if kind.resend_unknown else "no"
    assert said == (kind.queue, str(kind.priority), segments(kind), again, kind.subject is not None)
    limits = {name: worth_sending(kind, **changes) for name, changes in LIMITS.get(kind.name, {}).items()}
    worth = "; ".join([worth_sending(kind), *(f"{name}: {limit}" for name, limit in limits.items())])
    assert row["worth sending"] == worth + (" its bulk push" if kind.name in CHUNKS else "")
    assert row["template"].split(".")[0].rstrip("/") == f"{kind.channel}/{kind.template}"
    assert list(TEMPLATES.glob(row["template"].rstrip("/")))


def test_each_exception_from_the_rules_on_security_says_why() -> None:
    """As docs/howto/security.md promises."""
    lines = [line for path in (ROOT / "app").rglob("*.py") for line in path.read_text("utf-8").splitlines()]
    exceptions = [line for line in lines if re.search(r"# noqa: S\d|# nosec", line)]
    assert len(exceptions) > 10
    assert [line for line in exceptions if not re.search(r"noqa: S\d+ - \w", line)] == []
