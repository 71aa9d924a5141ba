"""A PDF that a caller gives along: as bytes, or where only JSON can be given (HTTP, shell) as base64."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

#: What most mail servers take: as base64 in a message it is 13.7 MiB, and the least of the big limits is 20 MB.
MAX_PDF_BYTES = 10 * 2**20

#: How far from the file's ends readers look for its marks (ISO 32000-1, annex H.3).
_NEAR = 1024


def _pdf(value: object) -> bytes | None:
    if value is None:
        return None
    content = value if isinstance(value, bytes) else _decoded(value)
    if len(content) > MAX_PDF_BYTES:
        raise ValueError(f"must have at most {MAX_PDF_BYTES} bytes (10 MB), has {len(content)}")
    if b"%PDF-" not in content[:_NEAR] or b"%%EOF" not in content[-_NEAR:]:
        raise ValueError(
            "must be a PDF file, as bytes or in base64, from %PDF- near its begin to %%EOF near its end"
        )
    return content


def _decoded(value: object) -> bytes:
    """What `value` is the base64 of, whose lines the `base64` command breaks; nothing if it is none."""
    try:
        return b64decode("".join(value.split()), validate=True) if isinstance(value, str) else b""
    except ValueError:
        return b""


def _encoded(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()


PdfFile = Annotated[
    bytes | None, BeforeValidator(_pdf), PlainSerializer(_encoded, return_type=str | None, when_used="json")
]
