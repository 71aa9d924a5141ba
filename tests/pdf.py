"""Reads PDFs: their words, and the QR code on them."""

from __future__ import annotations

from typing import Any

import pypdfium2  # type: ignore[import-untyped]
import zxingcpp


def document(pdf: bytes) -> Any:
    """The file, opened; its length is its number of pages."""
    return pypdfium2.PdfDocument(pdf)


def words(pdf: bytes) -> str:
    """What all pages say, in one line."""
    pages = [page.get_textpage().get_text_bounded() for page in document(pdf)]
    return " ".join("".join(pages).replace("\u200b", "").split())


def code(pdf: bytes) -> str:
    """What the QR code on the first page says, read from its picture."""
    [found] = zxingcpp.read_barcodes(document(pdf)[0].render(scale=2).to_pil())
    assert found.format == zxingcpp.BarcodeFormat.QRCode
    return str(found.text)
