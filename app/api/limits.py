"""How much a caller may ask: so many requests in a time, so many bytes at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from math import ceil
from typing import Any

import structlog
from fastapi import HTTPException
from redis.exceptions import RedisError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem
from app.core import redis
from app.core.breaker import Breaker
from app.core.config import get_settings
from app.monitoring import keys

log = structlog.get_logger(__name__)

#: Bytes of a request's body: a receipt of 10 MiB in base64, or a bulk push to some 90,000 phones.
MAX_BODY = 16 * 2**20
TOO_LARGE = f"The body may have {MAX_BODY} bytes at most."

#: Seconds of the allowance that may be asked at once, and those without a look at a Redis that was away.
BURST, COOL_DOWN = 10.0, 30.0

#: A token bucket kept as one time (GCRA): when it will be full again, in ms. Each request moves it on by the time
#: in which one token comes; beyond a full bucket's worth it is refused, and told how long until the next token.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local every, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + every
if full - now > burst then return math.ceil(full - now - burst) end
redis.call('SET', KEYS[1], full, 'PX', math.ceil(full - now))
return 0
"""

_breaker = Breaker(cool_down=COOL_DOWN)

#: The few threads that count: those of a Redis that hangs hold nobody else up.
_counting = ThreadPoolExecutor(4, thread_name_prefix="limits")
#: Seconds that a request waits to be counted.
PATIENCE = 1.0

#: Wrong keys that one client address may show in a minute, all at once if it likes.
WRONG_KEYS = 10


async def take(whose: str, per_minute: int, burst: float = BURST) -> float:
    """Count one request; the seconds to wait, 0.0 if it may go on.

    While Redis is away every request may: passengers' messages are worth more than the limit.
    """
    if not per_minute or not _breaker.allow():
        return 0.0
    every = 60_000 / per_minute
    key, longest = f"{keys.PREFIX}rate:{whose}", max(burst * 1000, every)
    counted = asyncio.get_running_loop().run_in_executor(_counting, _take, key, every, longest)
    try:
        wait = await asyncio.wait_for(counted, PATIENCE)
    except (RedisError, TimeoutError) as error:
        _breaker.failed()
        log.warning("requests are let through uncounted", reason=type(error).__name__, seconds=COOL_DOWN)
        return 0.0
    _breaker.succeeded()
    return wait / 1000


def _take(key: str, every: float, longest: float) -> float:
    wait: Any = redis.client(retries=0).eval(_TAKE, 1, key, every, longest)
    return float(wait)


async def demand(key_id: int, per_minute: int) -> None:
    """Count one request of a key. Raises 429 for one too many."""
    if wait := await take(str(key_id), per_minute):
        raise _too_many(f"This key may ask {per_minute} times a minute.", wait)


async def demand_after_wrong_key(address: str) -> None:
    """Count a wrong key that a client showed. Raises 429 for one too many; the right one is never asked here.

    Where API_REQUESTS_PER_MINUTE is 0, wrong keys have no limit either.
    """
    most = WRONG_KEYS if get_settings().api_requests_per_minute else 0
    if wait := await take(f"wrong:{address}", most, burst=60.0):
        raise _too_many("Too many wrong keys came from your address.", wait)


def _too_many(detail: str, wait: float) -> HTTPException:
    return HTTPException(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"Retry-After": str(ceil(wait))})


class BodyLimit:
    """ASGI middleware: 413 for a body of more than MAX_BODY bytes, whatever its header says of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse a body as soon as it is too long."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "")
        if said.isdecimal() and int(said) > MAX_BODY:
            await problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
            return message

        await self._app(scope, receive_counted, send)
