"""Looks at what may hang: each has a time limit, and no thing is looked at twice at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from app.core.errors import PafarError, SettingsError
from app.core.redaction import redact

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds in which what is looked at answers, or counts as away.
LIMIT = 1.0
#: Characters of an error's text that are shown.
ERROR_LENGTH = 200


class NoAnswer(PafarError):
    """What was looked at did not answer in time, or could not; the text says which."""


_lock = threading.Lock()
_under_way: dict[Hashable, Future[Any]] = {}


async def look(what: str, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `read(…)` returns, within LIMIT. Raises NoAnswer, which begins with `what`, and nothing else.

    `read` runs in a thread. Whoever looks at the same thing meanwhile shares it, so that a server that hangs
    holds one thread however often it is asked for, and never the event loop.
    """
    return await look_within(LIMIT, what, read, *args, **kwargs)


async def look_within(limit: float, what: str, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As `look`, within `limit` seconds."""
    waiting = asyncio.wrap_future(_join((read, args, tuple(sorted(kwargs.items()))), read, *args, **kwargs))
    done, _ = await asyncio.wait({waiting}, timeout=limit)
    if not done:
        raise NoAnswer(f"{what} did not answer within {limit:g} s")
    found = waiting.result()
    if isinstance(found, Exception):
        raise NoAnswer(_explain(what, found)) from found
    return found


def _join(key: Hashable, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T | Exception]:
    """The look that is under way, or a new one. An error is a result: nobody may be left to be told of it."""
    with _lock:
        if key in _under_way:
            return _under_way[key]
        future: Future[T | Exception] = Future()

        def run() -> None:
            found: T | Exception
            try:
                found = read(*args, **kwargs)
            except Exception as error:
                found = error
            with _lock:
                del _under_way[key]
            future.set_result(found)

        # A daemon: a process may end while a server hangs.
        threading.Thread(target=run, name=f"look:{read.__name__}", daemon=True).start()
        _under_way[key] = future
        return future


def _explain(what: str, error: Exception) -> str:
    if isinstance(error, SettingsError | NoAnswer):
        return str(error)
    first = (str(error).splitlines() or [""])[0]
    return redact(f"{what} can't be read: {first or type(error).__name__}")[:ERROR_LENGTH]
