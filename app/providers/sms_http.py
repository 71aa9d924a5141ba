"""Texts by a gateway's HTTP API: one JSON POST for each message."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import orjson

from app.providers.base import Receipt, Sms
from app.providers.errors import (
    InvalidRecipient,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
)
from app.providers.http import HttpClient
from app.providers.http_exchange import HttpError, Request, Response

#: What a status means; any other 5xx is Transient, any other at all OutcomeUnknown.
_STATUSES: dict[int, type[ProviderError]] = {
    301: Misconfigured,
    302: Misconfigured,
    307: Misconfigured,
    308: Misconfigured,
    400: Rejected,
    401: Misconfigured,
    403: Misconfigured,
    404: Misconfigured,
    405: Misconfigured,
    408: Transient,
    422: Rejected,
    429: RateLimited,
}
_ID_FIELDS = ("id", "message_id", "sid")
#: Short words and numbers only: a gateway may quote the recipient or the text in its error.
_CODE = re.compile(r"[A-Za-z_.-]{1,40}|\d{1,5}")


class SmsHttpProvider:
    """An SmsProvider for a gateway that takes `{"to", "message", "from"}` as JSON and a bearer key.

    `validity_period` (seconds) is added when the message has a limit, and the reference goes as
    Idempotency-Key. The answer's id is the first of `id`, `message_id`, `sid` at the top level, or in an object
    under `message` or `data`. A 2xx answer is a refusal when it has an `error`, `success` false, or the `status`
    "failed" or "rejected". A refusal is about the number when the error's (or the answer's) `field` is "to" or
    its `code` (or an `error` that is a word) is "invalid_number".

    Raises Misconfigured when `api_key` can't stand in an HTTP header.
    """

    def __init__(self, http: HttpClient, *, url: str, api_key: str, sender: str) -> None:
        if not (api_key.isascii() and api_key.isprintable()):
            raise Misconfigured("api_key: has a character that can't be sent; allowed: printable ASCII")
        self._http = http
        self._url = url
        self._sender = sender
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}

    def send(self, message: Sms) -> Receipt:
        """Hand over one text. Raises ProviderError."""
        try:
            response = self._http.request(self._request(message))
        except HttpError as error:
            raise error.as_provider_error("the SMS gateway") from error
        return _receipt(response)

    def close(self) -> None:
        """End the kept connections."""
        self._http.close()

    def _request(self, message: Sms) -> Request:
        body: dict[str, Any] = {"to": message.to, "message": message.text, "from": self._sender}
        if message.valid_for is not None:
            body["validity_period"] = message.valid_for
        headers = self._headers | {"Idempotency-Key": quote(message.reference)}
        return Request(url=self._url, headers=headers, body=orjson.dumps(body))


def _receipt(response: Response) -> Receipt:
    answer = response.json()
    code = _error_code(answer) or str(response.status)
    text = f"the SMS gateway answered {response.status} ({code})"
    if not 200 <= response.status < 300:
        kind = _STATUSES.get(response.status, Transient if response.status >= 500 else OutcomeUnknown)
        if kind is Rejected and _names_number(answer):
            kind = InvalidRecipient
        raise kind(text, code=code, retry_after=response.retry_after)
    if _is_refusal(answer):
        raise (InvalidRecipient if _names_number(answer) else Rejected)(f"{text} with a refusal", code=code)
    if provider_id := _message_id(answer):
        return Receipt(provider_id)
    raise OutcomeUnknown(f"{text} without a message id", code=code)


def _message_id(answer: dict[str, Any]) -> str | None:
    for place in (answer, answer.get("message"), answer.get("data")):
        if isinstance(place, dict):
            for name in _ID_FIELDS:
                value = place.get(name)
                if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                    return str(value)
    return None


def _is_refusal(answer: dict[str, Any]) -> bool:
    status = str(answer.get("status")).lower()
    return bool(answer.get("error")) or answer.get("success") is False or status in ("failed", "rejected")


def _error(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer's error as an object, wherever it stands."""
    error = answer.get("error")
    if isinstance(error, dict):
        return error
    return {"code": error, **answer} if isinstance(error, str) else answer


def _names_number(answer: dict[str, Any]) -> bool:
    error = _error(answer)
    return error.get("field") == "to" or "invalid_number" in (error.get("code"), answer.get("error"))


def _error_code(answer: dict[str, Any]) -> str | None:
    code = str(_error(answer).get("code") or "")
    return code if _CODE.fullmatch(code) else None
