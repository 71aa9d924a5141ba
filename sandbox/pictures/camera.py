"""Takes pictures of pages with a headless Chromium, and puts pictures together."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pypdfium2  # type: ignore[import-untyped]
from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

_GAP = 16  # pixels between pictures
_GROUND = "#8a9499"  # between light and dark, so that both have an edge
_PATIENCE = 30.0  # seconds for a page to be ready
_PDF_SCALE = 1.5  # pixels a point: an A5 page is 630 wide


class Camera:
    """A Chromium that photographs pages."""

    def __init__(self, chromium: Chrome) -> None:
        self._chromium = chromium

    def page(
        self, url: str, *, width: int, height: int | None = None, scheme: str = "light", ready: str = "body"
    ) -> Image.Image:
        """The page on a screen so many pixels wide, whole if no `height` is given; `scheme` is light or dark.

        Taken once the CSS selector `ready` finds something.
        """
        self._show(url, width, height or 600, scheme)
        WebDriverWait(self._chromium, _PATIENCE).until(lambda c: c.find_elements(By.CSS_SELECTOR, ready))
        return self._take({"x": 0, "y": 0, "width": width, "height": height or self._measure("html")["height"]})

    def link(self, selector: str) -> str:
        """Where the first link that the CSS `selector` finds on the page leads."""
        return str(self._chromium.find_element(By.CSS_SELECTOR, selector).get_attribute("href"))

    def element(self, url: str, selector: str, *, width: int) -> Image.Image:
        """The first element that the CSS `selector` finds on a page so wide, whole, and alone: others move it."""
        self._show(url, width, 900, "light")
        self._chromium.execute_script(
            "document.body.replaceChildren(document.querySelector(arguments[0]))", selector
        )
        return self._take(self._measure(selector))

    def _show(self, url: str, width: int, height: int, scheme: str) -> None:
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 480}
        self._chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self._chromium.get(url)

    def _measure(self, selector: str) -> dict[str, Any]:
        box = "const b = document.querySelector(arguments[0]).getBoundingClientRect();"
        measure = f"{box} return {{x: b.x, y: b.y, width: b.width, height: b.height}}"
        found: dict[str, Any] = self._chromium.execute_script(measure, selector)
        return found

    def _take(self, clip: dict[str, Any]) -> Image.Image:
        options = {"clip": {**clip, "scale": 1}, "captureBeyondViewport": True}
        taken = self._chromium.execute_cdp_cmd("Page.captureScreenshot", options)
        return Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")


@contextmanager
def camera() -> Iterator[Camera]:
    """A camera, until the end of `with`. Raises FileNotFoundError if there is no chromium or chromedriver."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        raise FileNotFoundError("chromium and chromedriver are needed: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = browser
    # Root may not use Chromium's own sandbox; all that it shows here are our own pages.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    chromium = Chrome(options=options, service=ChromeService(driver))
    try:
        yield Camera(chromium)
    finally:
        chromium.quit()


def pdf_page(content: bytes) -> Image.Image:
    """The first page of a PDF."""
    image: Image.Image = pypdfium2.PdfDocument(content)[0].render(scale=_PDF_SCALE).to_pil()
    return image


def together(*rows: Sequence[Image.Image], ground: Any = _GROUND) -> Image.Image:
    """One picture of rows of pictures, on a ground of one colour."""
    width = max(sum(image.width + _GAP for image in row) for row in rows) + _GAP
    height = sum(max(image.height for image in row) + _GAP for row in rows) + _GAP
    whole = Image.new("RGB", (width, height), ground)
    top = _GAP
    for row in rows:
        left = _GAP
        for image in row:
            whole.paste(image, (left, top))
            left += image.width + _GAP
        top += max(image.height for image in row) + _GAP
    return whole


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG. In all its colours: of 256 a pale ground or a small sign may get none of its own."""
    image.save(path, optimize=True)
