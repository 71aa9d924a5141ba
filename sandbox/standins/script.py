"""What a stand-in can be told to do with a request: refuse it, lose its answer, be slow, or never answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What happens to one request.

    The message is accepted (noted in the ledger) or not, then `delay` seconds pass, and then the stand-in
    answers, drops the connection (and every other request on it), or hangs until it is stopped. `status` None
    stands for the ordinary answer.
    """

    accept: bool = True
    delay: float = 0.0
    then: Literal["answer", "drop", "hang"] = "answer"
    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


ORDINARY = Behaviour()
DROP = Behaviour(accept=False, then="drop")
ACCEPT_THEN_DROP = Behaviour(then="drop")
HANG = Behaviour(accept=False, then="hang")


def slow(seconds: float) -> Behaviour:
    """Accept at once, answer after `seconds`."""
    return Behaviour(delay=seconds)


def answer(
    status: int, body: bytes | dict[str, Any], *, headers: Mapping[str, str] | None = None, accept: bool = False
) -> Behaviour:
    """Answer with this status and body (a dict becomes JSON); `accept` notes the message all the same."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return Behaviour(accept=accept, status=status, body=content, headers=headers or {})
