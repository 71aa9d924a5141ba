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

_GAP = 16  # pixels between pictures
_GROUND = "#8a9499"  # between light and dark, so that both have an edge
_PDF_SCALE = 1.5  # pixels a point: an A5 page is 630 wide


class Camera:
    """A Chromium that photographs pages."""

    def __init__(self, chromium: Chrome) -> None:
        self._chromium = chromium

    def page(self, url: str, *, width: int, height: int | None = None, scheme: str = "light") -> Image.Image:
        """The page on a screen so many pixels wide, whole if no `height` is given; `scheme` is light or dark."""
        self._show(url, width, height or 600, scheme)
        return self._take({"x": 0, "y": 0, "width": width, "height": height or self._measure("html")["height"]})

    def element(self, url: str, selector: str, *, width: int) -> Image.Image:
        """The first element that the CSS `selector` finds on a page so wide, whole."""
        self._show(url, width, 900, "light")
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


def together(*rows: Sequence[Image.Image]) -> Image.Image:
    """One picture of rows of pictures."""
    width = max(sum(image.width + _GAP for image in row) for row in rows) + _GAP
    height = sum(max(image.height for image in row) + _GAP for row in rows) + _GAP
    whole = Image.new("RGB", (width, height), _GROUND)
    top = _GAP
    for row in rows:
        left = _GAP
        for image in row:
            whole.paste(image, (left, top))
            left += image.width + _GAP
        top += max(image.height for image in row) + _GAP
    return whole


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG of at most 256 colours, which is a third of the size."""
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
