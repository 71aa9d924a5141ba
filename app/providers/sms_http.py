"""Texts by a gateway's HTTP API: one JSON POST for each message."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
    402: Misconfigured,
    403: Misconfigured,
    404: Misconfigured,
    405: Misconfigured,
    408: Transient,
    413: Rejected,
    415: Misconfigured,
    422: Rejected,
    429: RateLimited,
}
#: What an error's code means where the status only says that it is one; any other is Rejected.
_CODES: dict[str, type[ProviderError]] = {
    **dict.fromkeys(("rate_limited", "rate_limit_exceeded", "throttled", "too_many_requests"), RateLimited),
    **dict.fromkeys(("internal_error", "server_error", "unavailable", "service_unavailable"), Transient),
    **dict.fromkeys(("unauthorized", "no_credit", "insufficient_balance", "insufficient_funds"), Misconfigured),
}
#: Seconds that operators keep a text at most: 72 h. With a longer one some let it fail at once.
#: http://blog.esendex.com/support/post/Changes-to-the-Message-Validity-Period.aspx
MAX_VALIDITY = 72 * 3600
_ID_FIELDS = ("id", "message_id", "sid")
#: Short words and numbers only: a gateway may quote the recipient or the text in its error.
_CODE = re.compile(r"[A-Za-z_.-]{1,40}|\d{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What a gateway calls things: the fields of its JSON, and the header that takes the key for `{key}`.

    `validity` takes the seconds that a text may still be tried; None leaves it out. `id_path` is where the answer
    has the message's id, as "data.0.id"; None looks for `id`, `message_id` and `sid`, at the top level and in an
    object under `message` or `data`.
    """

    to: str = "to"
    message: str = "message"
    sender: str = "from"
    validity: str | None = "validity_period"
    auth_header: str = "Authorization: Bearer {key}"
    id_path: str | None = None


class SmsHttpProvider:
    """An SmsProvider for a gateway that takes one text as one flat JSON object.

    How long it may be tried is added when the message has a limit, and the reference goes as Idempotency-Key.
    A 2xx answer is a refusal when it has an `error`, `success` false, or the `status`
    "failed" or "rejected". A refusal is about the number when the error's (or the answer's) `field` is the
    number's or its `code` (or an `error` that is a word) is "invalid_number".

    Raises Misconfigured when `api_key` can't stand in an HTTP header.
    """

    def __init__(
        self, http: HttpClient, *, url: str, api_key: str, sender: str, dialect: Dialect | None = None
    ) -> None:
        if not (api_key.isascii() and api_key.isprintable()):
            raise Misconfigured("api_key: has a character that can't be sent; allowed: printable ASCII")
        self._http = http
        self._url = url
        self._sender = sender
        self._dialect = dialect or Dialect()
        name, _, value = self._dialect.auth_header.partition(": ")
        self._headers = {name: value.replace("{key}", api_key), "Content-Type": "application/json"}

    def send(self, message: Sms) -> Receipt:
        """Hand over one text. Raises ProviderError."""
        try:
            response = self._http.request(self._request(message))
        except HttpError as error:
            raise error.as_provider_error("the SMS gateway") from error
        return _receipt(response, self._dialect)

    def close(self) -> None:
        """End the kept connections."""
        self._http.close()

    def _request(self, message: Sms) -> Request:
        names = self._dialect
        body: dict[str, Any] = {names.to: message.to, names.message: message.text, names.sender: self._sender}
        if names.validity and message.valid_for is not None:
            body[names.validity] = min(message.valid_for, MAX_VALIDITY)
        headers = self._headers | {"Idempotency-Key": quote(message.reference)}
        return Request(url=self._url, headers=headers, body=orjson.dumps(body))


def _receipt(response: Response, dialect: Dialect) -> Receipt:
    answer = response.json()
    code = _error_code(answer) or str(response.status)
    text = f"the SMS gateway answered {response.status}"
    kind: type[ProviderError] | None = None
    if not 200 <= response.status < 300:
        kind = _STATUSES.get(response.status, Transient if response.status >= 500 else OutcomeUnknown)
    elif _is_refusal(answer):
        kind, text = Rejected, f"{text} with a refusal"
    if kind is Rejected:
        kind = InvalidRecipient if _names_number(answer, dialect.to) else _CODES.get(code, Rejected)
    if kind:
        raise kind(text, code=code, retry_after=response.retry_after)
    if provider_id := _message_id(answer, dialect.id_path):
        return Receipt(provider_id)
    raise OutcomeUnknown(f"{text} without a message id", code=code)


def _message_id(answer: dict[str, Any], path: str | None) -> str | None:
    if path is not None:
        return _as_id(_follow(answer, path))
    places = [place for place in (answer, answer.get("message"), answer.get("data")) if isinstance(place, dict)]
    found = (_as_id(place.get(name)) for place in places for name in _ID_FIELDS)
    return next(filter(None, found), None)


def _follow(answer: Any, path: str) -> Any:
    """What stands at `path` ("data.0.id"), None if nothing does."""
    for step in path.split("."):
        if isinstance(answer, list) and step.isdecimal():
            answer = dict(enumerate(answer)).get(int(step))
        else:
            answer = answer.get(step) if isinstance(answer, dict) else None
    return answer


def _as_id(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


def _is_refusal(answer: dict[str, Any]) -> bool:
    status = str(answer.get("status")).lower()
    return bool(answer.get("error")) or answer.get("success") is False or status in ("failed", "rejected")


def _error(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer's error as an object, wherever it stands."""
    error = answer.get("error")
    if isinstance(error, dict):
        return error
    return {"code": error, **answer} if isinstance(error, str) else answer


def _names_number(answer: dict[str, Any], field: str) -> bool:
    error = _error(answer)
    return error.get("field") == field or "invalid_number" in (error.get("code"), answer.get("error"))


def _error_code(answer: dict[str, Any]) -> str | None:
    code = str(_error(answer).get("code") or "")
    return code if _CODE.fullmatch(code) else None
