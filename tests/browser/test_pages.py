"""The operators' pages in a real browser: usable by everybody, live, and whole without scripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from app.messages.kinds import KINDS
from app.notifications import submit
from tests import data
from tests.browser.conftest import Site, fail, has_status, show
from tests.house import House, wait_until
from tests.operators import PAGES, recorded
from tests.rows import change, row

AXE = (Path(__file__).parent / "vendor/axe-core-4.14.1.min.js").read_text(encoding="utf-8")
SOON = 60.0
#: What web.dev calls good.
LAYOUT_SHIFT = 0.1

_RUN_AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]}).then(found => done(found.violations));
"""
#: Whether a table is wider than its place, which on a phone nobody sees.
_CUT = """
return [...document.querySelectorAll(".scroll")].some(place => place.scrollWidth > place.clientWidth);
"""
_SAID = """
window.said = 0;
new MutationObserver(() => window.said++).observe(document.getElementById("liveness"),
  {subtree: true, childList: true, characterData: true});
"""
_CHANGES = """
window.changes = 0;
new MutationObserver(() => window.changes++).observe(document.getElementById("live"),
  {subtree: true, childList: true, characterData: true});
"""
_SHIFTS = """
window.shifts = 0;
new PerformanceObserver(list => { for (const e of list.getEntries()) window.shifts += e.value; })
  .observe({type: "layout-shift", buffered: true});
"""


def body(chromium: Chrome) -> str:
    return chromium.find_element(By.TAG_NAME, "body").text


def until(chromium: Chrome, what: Callable[[Chrome], object]) -> None:
    """Wait for `what`, whatever page is just being left."""
    WebDriverWait(chromium, SOON, ignored_exceptions=[StaleElementReferenceException]).until(what)


def wait_for(chromium: Chrome, words: str) -> None:
    until(chromium, lambda c: words in body(c))


def complaints(chromium: Chrome) -> list[Any]:
    """What the console says, as of a policy that was broken or a script that failed."""
    return [e for e in chromium.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]  # type: ignore[no-untyped-call]


def pages(site: Site) -> list[str]:
    return [*PAGES, f"/messages/{site.sent}", f"/messages/{site.failed}", "/messages/nothing"]


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_no_serious_fault_of_accessibility(
    chromium: Chrome, site: Site, scheme: str, width: int
) -> None:
    show(chromium, scheme, width)
    for path in pages(site):
        chromium.get(site.url + path)
        chromium.execute_script(AXE)
        found = chromium.execute_async_script(_RUN_AXE)
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        assert not serious, (path, [(v["id"], [n["html"] for n in v["nodes"]]) for v in serious])
        wide = chromium.execute_script("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, path
        assert width > 600 or not chromium.execute_script(_CUT), path


def test_a_page_follows_what_happens_and_keeps_the_readers_place(chromium: Chrome, site: Site) -> None:
    chromium.get(f"{site.url}/messages?reference=PF33LIVE")
    wait_for(chromium, "Live")
    first = submit.accept_now(KINDS["booking_confirmation_sms"], data.sms(booking_reference="PF33LIVE"))
    link = f'a[href="/messages/{first}"]'
    until(chromium, lambda c: c.find_elements(By.CSS_SELECTOR, link))
    chromium.execute_script("document.querySelector(arguments[0]).focus()", link)
    second = submit.accept_now(KINDS["booking_confirmation_sms"], data.sms(booking_reference="PF33LIVE"))
    wait_until(lambda: (row(second) or {})["status"] == "sent", SOON)
    until(chromium, lambda c: body(c).count("sent") >= 2)
    assert chromium.switch_to.active_element.get_attribute("href") == f"{site.url}/messages/{first}"
    assert not complaints(chromium)


def test_a_refresh_moves_nothing(chromium: Chrome, site: Site) -> None:
    chromium.get(f"{site.url}/")
    wait_for(chromium, "Live")
    chromium.execute_script(_SHIFTS)
    chromium.execute_script(_SAID)
    chromium.execute_script(_CHANGES)
    until(chromium, lambda c: c.execute_script("return changes") >= 3)
    assert chromium.execute_script("return said") == 0  # a screen reader would read it out each time
    assert chromium.execute_script("return shifts") < LAYOUT_SHIFT
    assert not complaints(chromium)


def test_what_a_reader_opened_stays_open(chromium: Chrome, site: Site) -> None:
    chromium.get(f"{site.url}/campaigns")
    wait_for(chromium, "Live")
    chromium.find_element(By.TAG_NAME, "summary").click()
    change("UPDATE notifications SET sent_count = 0 WHERE id = :id", id=site.campaign)
    chromium.execute_script(_CHANGES)
    until(chromium, lambda c: c.execute_script("return changes") >= 1)
    assert "can’t be undone" in body(chromium)  # noqa: RUF001


def test_a_keyboard_is_enough_to_send_a_message_again(chromium: Chrome, site: Site, whole_house: House) -> None:
    failed = fail(whole_house)
    chromium.get(f"{site.url}/messages/{failed}")
    for _ in range(40):
        ActionChains(chromium).send_keys(Keys.TAB).perform()
        if chromium.switch_to.active_element.text == "Send it again":
            break
    ActionChains(chromium).send_keys(Keys.ENTER).perform()
    wait_for(chromium, "Put back to be sent again")
    assert ("grace", "replay", failed) in recorded()
    wait_until(lambda: has_status(failed, "sent"), SOON)


def test_pages_work_without_scripts(chromium: Chrome, site: Site, whole_house: House) -> None:
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    failed = fail(whole_house)
    chromium.get(f"{site.url}/messages")
    reference = chromium.find_element(By.NAME, "reference")
    reference.send_keys("pf7k2qxm", Keys.ENTER)
    # The address changes while the old page can still be seen, which has no such attribute.
    until(chromium, lambda c: c.find_elements(By.CSS_SELECTOR, '[name="reference"][value="pf7k2qxm"]'))
    assert "reference=pf7k2qxm" in chromium.current_url
    chromium.find_element(By.CSS_SELECTOR, f'a[href="/messages/{failed}"]').click()
    chromium.find_element(By.XPATH, "//button[.='Send it again']").click()
    wait_for(chromium, "Put back to be sent again")
    chromium.find_element(By.XPATH, "//button[.='Show recipient']").click()
    wait_for(chromium, "+2348031234567")
    wait_until(lambda: has_status(failed, "sent"), SOON)
