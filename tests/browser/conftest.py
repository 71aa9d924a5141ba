"""A real Chromium, and pages with something on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from app.messages.kinds import KINDS
from app.notifications import submit
from sandbox.standins.script import answer
from tests import data
from tests.house import House, wait_until
from tests.operators import KEY
from tests.programs import program
from tests.rows import row

SOON = 60.0


@dataclass(frozen=True)
class Site:
    """The pages at `url`, which know of a message that was sent, one that failed, and a paused campaign."""

    url: str
    sent: UUID
    failed: UUID
    campaign: UUID


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = program("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chromium = Chrome(options=options, service=ChromeService(program("chromedriver", "chromium-driver")))
    yield chromium
    chromium.quit()


@pytest.fixture
def chromium(_chromium: Chrome, site: Site) -> Chrome:
    """As an operator has it: signed in, a large window, light, scripts on; nothing said on its console yet."""
    _chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    show(_chromium, "light", 1280)
    address = urlsplit(site.url).netloc
    _chromium.get(f"http://grace:{KEY}@{address}/actions")
    _chromium.get_log("browser")  # type: ignore[no-untyped-call]
    return _chromium


def show(chromium: Chrome, scheme: str, width: int) -> None:
    """Light or dark, on a screen so wide."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


@pytest.fixture(scope="module")
def site(whole_house: House) -> Iterator[Site]:
    whole_house.clean()
    with whole_house.api(API_KEY=KEY) as url, whole_house.worker():
        sent = submit.accept_now(KINDS["booking_confirmation_sms"], data.sms())
        wait_until(lambda: has_status(sent, "sent"), SOON)
        failed = fail(whole_house)
        whole_house.fcm.script += [answer(503, {})] * 1000  # it stays under way
        bulk = {"user_tokens": {"7": ["a", "b"]}, "title": "No buses", "body": "A strike is announced."}
        campaign = submit.accept_now(KINDS["bulk_push_notification"], {"notification_data": bulk})
        yield Site(url, sent, failed, campaign)


def fail(house: House) -> UUID:
    """A message that just failed for good."""
    house.sms.script.append(answer(400, {"error": "the number is barred"}))
    message_id = submit.accept_now(KINDS["booking_confirmation_sms"], data.sms())
    wait_until(lambda: has_status(message_id, "failed"), SOON)
    return message_id


def has_status(message_id: UUID, status: str) -> bool:
    """Whether the message's row says so now."""
    return (row(message_id) or {}).get("status") == status
