"""Is the house well, and if not, why: every check has its own time limit, and none raises for what is broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from app.monitoring import checks, cleanups, statistics, windows
from app.monitoring.checks import Check, unhealthy
from app.monitoring.looks import NoAnswer, look

P = ParamSpec("P")
T = TypeVar("T")

DATABASE, BROKER, REDIS = "PostgreSQL", "The broker", "Redis"

#: From this share (percent) of failed tasks on the rate is unhealthy.
FAILING = 10.0

#: What to do about each component that is unwell; its message says what is.
MENDS = {
    "workers": "start one: celery -A app.core.celery_app worker --loglevel=info",
    "queues": "start more workers for these queues (-Q), or see why theirs are slow",
    "failure_rate": "look at the newest failures; pafar replay sends them again once their cause is mended",
    "database": "see that PostgreSQL runs, takes writes and is reached under DATABASE_URL",
    "broker": "see the server under CELERY_BROKER_URL: maxmemory-policy noeviction, room on disk and in memory",
    "redis": "see the server under REDIS_URL; statistics and heartbeats lie there",
    "beat": "start it: celery -A app.core.celery_app beat --loglevel=info",
    "relay": "see that workers run and reach broker and database: each has a relay",
    "canary": "restart the workers of these queues; see whether their threads wait for a provider",
    "providers": "pafar stats and the failures' reasons say what the provider answers",
    "cleanup": "see that beat and a worker of the queue cleanup run; pafar cleanup does it by hand",
}


class TaskHealthChecker:
    """Answers within two seconds, whatever hangs. What can't be seen is unhealthy, with the reason."""

    async def check_worker_health(self) -> Check:
        """healthy, message, workers [{name, active_tasks, registered_tasks, …}], total_workers.

        total_workers is None while it is not known.
        """
        found, held = await asyncio.gather(_ask(REDIS, checks.heartbeats), _ask(BROKER, checks.holdings))
        known = None if isinstance(held, NoAnswer) else held
        blank: Check = {"workers": [], "total_workers": None}
        return _judge(lambda seen: checks.of_workers(seen, known), found, blank)

    async def check_queue_health(self) -> Check:
        """healthy, message, queues {name: {length, healthy, …}}, total_queued_tasks (None: not known)."""
        found, speeds = await asyncio.gather(_ask(BROKER, checks.holdings), _ask(REDIS, checks.rates))
        known = {} if isinstance(speeds, NoAnswer) else speeds
        blank: Check = {"queues": {}, "total_queued_tasks": None}
        return _judge(lambda held: checks.of_queues(held, known), found, blank)

    async def check_task_failure_rate(self, hours: float = 1) -> Check:
        """healthy (below 10 %), message, failure_rate_percent, total_tasks, failed_tasks (None: not known).

        And period_hours. Raises ValueError for `hours`.
        """
        windows.check_hours(hours)
        blank = {"failure_rate_percent": None, "total_tasks": None, "failed_tasks": None, "period_hours": hours}
        return _judge(_of_rate, await _ask(REDIS, statistics.failure_rate, hours), blank)

    async def get_comprehensive_health_report(self) -> dict[str, Any]:
        """timestamp (ISO 8601, UTC), overall_healthy, components {name: check}, statistics, recommendations.

        `statistics` are those of the last 24 h, None while Redis is away; a recommendation is a sentence.
        """
        components, counted = await asyncio.gather(_components(self), _ask(REDIS, statistics.statistics, 24.0))
        unwell = {name: check for name, check in components.items() if not check["healthy"]}
        return {
            "timestamp": datetime.now(UTC).isoformat(),
            "overall_healthy": not unwell,
            "components": components,
            "statistics": None if isinstance(counted, NoAnswer) else counted,
            "recommendations": [f"{name}: {check['message']}; {MENDS[name]}." for name, check in unwell.items()],
        }


async def _components(checker: TaskHealthChecker) -> dict[str, Check]:
    looks = {
        "workers": checker.check_worker_health(),
        "queues": checker.check_queue_health(),
        "failure_rate": checker.check_task_failure_rate(),
        "database": _check(DATABASE, checks.database, _as_it_is),
        "broker": _check(BROKER, checks.holdings, checks.of_broker),
        "redis": _check(REDIS, checks.beat_age, lambda _: checks.healthy("answers")),
        "beat": _check(REDIS, checks.beat_age, checks.of_beat),
        "relay": _check(DATABASE, checks.backlog, checks.of_relay),
        "canary": _check(REDIS, checks.canaries, checks.of_canaries),
        "providers": _check(REDIS, checks.providers, checks.of_providers),
        "cleanup": _check(DATABASE, cleanups.read, checks.of_cleanups),
    }
    return dict(zip(looks, await asyncio.gather(*looks.values()), strict=True))


async def _check(what: str, read: Callable[[], T], judge: Callable[[T], Check]) -> Check:
    return _judge(judge, await _ask(what, read), {})


async def _ask(what: str, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | NoAnswer:
    """What it answers, or why it does not."""
    try:
        return await look(what, read, *args, **kwargs)
    except NoAnswer as error:
        return error


def _judge(judge: Callable[[T], Check], found: T | NoAnswer, blank: Check) -> Check:
    return unhealthy(str(found), **blank) if isinstance(found, NoAnswer) else judge(found)


def _as_it_is(check: Check) -> Check:
    return check


def _of_rate(found: dict[str, Any]) -> Check:
    rate = found["failure_rate_percent"]
    if rate is None:
        return checks.healthy("no task has ended", **(found | {"failure_rate_percent": 0.0}))
    words = f"{found['failed_tasks']} of {found['total_tasks']} tasks failed, {rate:.1f} %"
    return (checks.healthy if rate < FAILING else unhealthy)(words, **found)


health_checker = TaskHealthChecker()
