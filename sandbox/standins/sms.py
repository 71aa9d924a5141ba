"""A stand-in for an SMS gateway: takes texts as JSON over HTTP and sends them to nobody."""

from __future__ import annotations

import re
import secrets
from collections import deque
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.standins.ledger import Ledger
from sandbox.standins.script import ORDINARY, Behaviour
from sandbox.standins.serve import StandIn

_E164 = re.compile(r"\+[1-9]\d{6,14}")


class SmsStandIn(StandIn):
    """POST `{"to", "message", "from"}`, under these `names`, to `url` with `api_key` in the header `key_header`.

    Each well-formed request takes the next Behaviour of `script`, if there is one.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        api_key: str,
        port: int = 0,
        key_header: str = "Authorization: Bearer {key}",
        names: tuple[str, str, str] = ("to", "message", "from"),
    ) -> None:
        super().__init__([Route("/messages", self._messages, methods=["POST"])], port=port)
        self.script: deque[Behaviour] = deque()
        self._ledger = ledger
        name, _, value = key_header.partition(": ")
        self._key_header, self._key = name, value.format(key=api_key)
        self._names = dict(zip(("to", "message", "from"), names, strict=True))

    @property
    def url(self) -> str:
        """Where texts are posted."""
        return f"{super().url}/messages"

    async def _messages(self, request: Request) -> Response:
        self.note_connection(request)
        body = await request.body()
        if request.headers.get(self._key_header) != self._key:
            return _error(401, "unauthorized")
        given = _parse(body)
        text = given | {ours: given.get(theirs) for ours, theirs in self._names.items()}
        if field := _bad_field(text):
            code = "invalid_number" if field == "to" else "invalid_field"
            return _error(422, code, self._names.get(field, field))
        behaviour = self.script.popleft() if self.script else ORDINARY
        message_id = f"sms-{secrets.token_hex(8)}"
        if behaviour.accept:
            self._accept(message_id, text, request.headers.get("idempotency-key"))
        return await self.play(request, behaviour, JSONResponse({"id": message_id, "status": "queued"}, 201))

    def _accept(self, message_id: str, text: dict[str, Any], reference: str | None) -> None:
        self._ledger.accept(
            "sms",
            id=message_id,
            to=text["to"],
            message=text["message"],
            sender=text["from"],
            reference=reference,
            validity_period=text.get("validity_period"),
        )


def _parse(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _bad_field(text: dict[str, Any]) -> str | None:
    for name in ("to", "message", "from"):
        if not isinstance(text.get(name), str) or not text[name]:
            return name
    if not _E164.fullmatch(text["to"]):
        return "to"
    period = text.get("validity_period")
    return None if period is None or (isinstance(period, int) and period > 0) else "validity_period"


def _error(status: int, code: str, field: str | None = None) -> Response:
    return JSONResponse({"error": {"code": code, "field": field}}, status)
