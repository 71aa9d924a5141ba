"""Sets PDFs: Typst templates from templates/pdf, values as JSON, fonts from beside this file and no others."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

import orjson
import typst

_FONTS = Path(__file__).parent / "fonts"
_TEMPLATES = Path(__file__).parents[1] / "templates" / "pdf"

#: For archives (ISO 19005-2) and for screen readers (ISO 14289-1).
_STANDARDS: list[typst.PDFStandard] = ["a-2a", "ua-1"]

#: A compiler used by two threads at once raises "Already borrowed".
_lock = threading.Lock()


def typeset(template: str, values: Mapping[str, Any], *, made_at: datetime) -> bytes:
    """The PDF that templates/pdf/`template` makes of `values`, which is JSON; nothing in it is taken for markup.

    The same values and `made_at` (aware; its seconds stand in the file) give the same bytes. PDF/A-2a and
    PDF/UA-1, unless a character is in none of the fonts: both forbid the empty box it is then shown as.
    Raises typst.TypstError for a fault in the template.
    """
    inputs = {"values": orjson.dumps(values).decode()}
    with _lock:
        try:
            return _compile(template, inputs, made_at, _STANDARDS)
        except typst.TypstError:
            return _compile(template, inputs, made_at, [])


def _compile(
    template: str, inputs: dict[str, str], made_at: datetime, standards: list[typst.PDFStandard]
) -> bytes:
    pdf = _compiler(template).compile(
        format="pdf", sys_inputs=inputs, pdf_standards=standards, timestamp=int(made_at.timestamp())
    )
    return cast("bytes", pdf)


@cache
def _compiler(template: str) -> typst.Compiler:
    # Kept: what it has read and worked out serves the next document, in a third of the time.
    return typst.Compiler(_TEMPLATES / template, root=_TEMPLATES, font_paths=[_FONTS], ignore_system_fonts=True)
