"""Those who do the work: do workers answer, is every queue consumed, does beat tick?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from app.core import redis
from app.core.celery_app import QUEUES, celery_app
from app.monitoring import keys
from app.monitoring.looks import NoAnswer, look
from app.monitoring.setup.findings import ERROR, OK, WARNING, Finding

#: Seconds that workers get to answer.
PING_TIMEOUT = 2.0

#: Seconds after which a beat that has not ticked does not run: it ticks every ten or oftener.
BEAT_SILENT = 60.0

NOT_ASKED = Finding("workers", ERROR, "can't be asked through this broker", "mend the broker first")

_START = "celery -A app.core.celery_app worker --loglevel=info"


def beat() -> Iterator[Finding]:
    """Whether somebody starts what is scheduled. Nothing where Redis is away: that is a finding of its own."""
    mend = "celery -A app.core.celery_app beat --loglevel=info"
    try:
        ticked: Any = asyncio.run(look("REDIS_URL", redis.client().get, keys.BEAT))
    except NoAnswer:
        return
    ago = time.time() - float(ticked) if ticked else None
    if ago is None:
        yield Finding("beat", WARNING, "has never ticked: nothing is cleaned up", mend)
    elif ago > BEAT_SILENT:
        yield Finding("beat", WARNING, f"last ticked {ago:.0f} s ago: nothing is cleaned up", mend)
    else:
        yield Finding("beat", OK, f"ticked {max(0.0, ago):.0f} s ago")


def workers() -> Iterator[Finding]:
    """Ask the workers themselves; a queue is consumed by those who say so."""
    try:
        answers = celery_app.control.inspect(timeout=PING_TIMEOUT).active_queues() or {}
    except (KombuError, RedisError):  # a replica answers, and takes no question
        yield NOT_ASKED
        return
    consumed = {queue["name"] for queues in answers.values() for queue in queues}
    unread = [queue for queue in QUEUES if queue not in consumed]
    if not answers:
        yield Finding("workers", ERROR, "none answers", _START)
    elif unread:
        words = f"{len(answers)} answer, but nobody consumes {', '.join(unread)}"
        yield Finding("workers", ERROR, words, f"{_START} -Q {','.join(unread)}")
    else:
        yield Finding("workers", OK, f"{len(answers)} answer, all queues are consumed")
