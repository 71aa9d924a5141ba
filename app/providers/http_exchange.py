"""One HTTP request to a provider: what is asked, what came back, and whether it can have reached the server."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pycurl

from app.providers.errors import Misconfigured, OutcomeUnknown, ProviderError, Transient

#: No provider's answer comes near it; a broken or hostile one must not fill the memory.
MAX_BODY = 1024 * 1024

#: Errors that the next try meets too, as long as the settings stay as they are.
_SETTINGS_ERRORS = {
    pycurl.E_UNSUPPORTED_PROTOCOL,
    pycurl.E_URL_MALFORMAT,
    pycurl.E_PEER_FAILED_VERIFICATION,
    pycurl.E_SSL_CACERT_BADFILE,
}
_HTTP1 = {pycurl.CURL_HTTP_VERSION_1_0, pycurl.CURL_HTTP_VERSION_1_1}
#: What our own callbacks' verdicts mean, where libcurl only says that a callback gave one.
_PLAIN_TEXTS = {
    pycurl.E_ABORTED_BY_CALLBACK: "the connection closed before the answer",
    pycurl.E_WRITE_ERROR: f"the answer is longer than {MAX_BODY} bytes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One POST. Header values are ASCII without line breaks.

    `repeatable`: the server may act on it twice. Only what may not, and goes to a server that has not answered in
    HTTP/1.1, is watched on its way, which is a third of what libcurl spends on a request.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    repeatable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A complete answer. `retry_after`: the seconds that its Retry-After asks for, in either form, if any.

    `repeated`: the request went out once before and was not answered, so the server may have acted twice.
    """

    status: int
    body: bytes = field(repr=False)
    retry_after: float | None
    repeated: bool

    def json(self) -> dict[str, Any]:
        """The body if it is a JSON object, else {}."""
        try:
            content = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return content if isinstance(content, dict) else {}


class HttpError(Exception):
    """No complete answer came.

    `sent`: the request was (or may have been) written, so the server may have acted on it. `misconfigured`:
    the settings are at fault (URL, CA file, a certificate that can't be verified).
    """

    def __init__(self, message: str, *, sent: bool, misconfigured: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.misconfigured = misconfigured

    def as_provider_error(self, provider: str) -> ProviderError:
        """The same in the house's words; `provider` names the server in the text."""
        if self.misconfigured:
            return Misconfigured(f"{provider} can't be used with these settings: {self}")
        if self.sent:
            return OutcomeUnknown(f"{provider} gave no answer: {self}")
        return Transient(f"{provider} could not be reached: {self}")


class Exchange:
    """One request at a time over `curl`, a pycurl.Curl whose other options are set: what libcurl tells of it."""

    def __init__(self, curl: Any) -> None:
        self.curl = curl
        self._url, self._headers = "", dict[str, str]()
        self._repeatable = self._watched = False
        self._http1 = False
        self._begin_by = math.inf
        self._begin_anew(repeatable=False)
        curl.setopt(pycurl.PREREQFUNCTION, self._before_write)
        curl.setopt(pycurl.DEBUGFUNCTION, self._overhear)
        curl.setopt(pycurl.WRITEFUNCTION, self._keep)

    def set_up(self, request: Request, seconds: float, begin_by: float) -> None:
        """Make the handle post `request`, within so many seconds. What the last one had too is left as it is.

        `begin_by` (`time.monotonic()`): once that is over it is not written any more. It may have waited for a
        connection inside of libcurl, and would be cut off before the server could answer.
        """
        self._begin_anew(repeatable=request.repeatable)
        self._begin_by = begin_by
        if request.url != self._url:
            self.curl.setopt(pycurl.URL, request.url)
            self._url = request.url
        if request.headers != self._headers:
            lines = [f"{name}: {value}" for name, value in request.headers.items()]
            self.curl.setopt(pycurl.HTTPHEADER, lines)
            self._headers = dict(request.headers)
        self.curl.setopt(pycurl.POSTFIELDS, request.body)
        self.curl.setopt(pycurl.TIMEOUT_MS, max(1, round(seconds * 1000)))

    def answer(self) -> Response:
        """The complete answer, once the handle is done."""
        self._http1 = self.curl.getinfo(pycurl.INFO_HTTP_VERSION) in _HTTP1
        return Response(
            status=self.curl.getinfo(pycurl.RESPONSE_CODE),
            body=bytes(self._body),
            retry_after=float(self.curl.getinfo(pycurl.RETRY_AFTER)) or None,
            repeated=self._repeated,
        )

    def failure(self, error: BaseException) -> HttpError:
        """Why no answer came: libcurl's error, or what kept the request from being made."""
        if not isinstance(error, pycurl.error):
            return HttpError(
                f"{type(error).__name__} in our client", sent=self._written, misconfigured=not self._written
            )
        code, text = error.args
        sent = self._written and not self._refused
        too_late = self._late and not sent
        return HttpError(
            "no free connection in time" if too_late else _PLAIN_TEXTS.get(code, f"curl {code}: {text}"),
            sent=sent,
            misconfigured=code in _SETTINGS_ERRORS,
        )

    def _begin_anew(self, *, repeatable: bool) -> None:
        self._body = bytearray()
        self._written = self._refused = self._repeated = self._late = False
        self._repeatable = repeatable
        watched = not (repeatable or self._http1)  # only HTTP/2 refuses a request that it has not looked at
        if watched is not self._watched:
            self.curl.setopt(pycurl.VERBOSE, int(watched))  # without it DEBUGFUNCTION hears nothing
            self._watched = watched

    def _before_write(self, *_addresses: object) -> int:
        # When a kept connection dies unanswered, libcurl silently repeats the POST, though the server may have
        # acted on it: only what an HTTP/2 server declared untouched (RFC 9113, 8.7) may go out again.
        self._late = time.monotonic() > self._begin_by
        if self._late:
            return int(pycurl.PREREQFUNC_ABORT)
        if self._written and not self._refused:
            if not self._repeatable:
                return int(pycurl.PREREQFUNC_ABORT)
            self._repeated = True
        self._written, self._refused = True, False
        return int(pycurl.PREREQFUNC_OK)

    def _overhear(self, kind: int, text: bytes) -> None:
        # The only place where libcurl tells of GOAWAY and REFUSED_STREAM. Should the words change, such a
        # request is reported as unanswered, which is the safe side.
        if kind == pycurl.INFOTYPE_TEXT and b"refused by server" in text:
            self._refused = True

    def _keep(self, part: bytes) -> int:
        if len(self._body) + len(part) > MAX_BODY:
            return 0  # anything but the part's length ends the transfer
        self._body.extend(part)
        return len(part)
