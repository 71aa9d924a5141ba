"""What the first page shows: the health report in words, queues, tasks by the minute, failures; each by itself,
so that what is away takes nothing else along.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core import redis
from app.core.broker import broker
from app.core.celery_app import QUEUES
from app.dashboard import charts, checks
from app.dashboard.charts import Bar, Line
from app.dashboard.sources import ALERTS, BROKER, HEALTH, REDIS, Answer, from_database
from app.monitoring import keys, queues, samples, statistics
from app.monitoring.alerts.homes import current
from app.monitoring.alerts.state import Alert
from app.monitoring.samples import Rates
from app.notifications import overview
from app.utils.task_monitoring import health_checker

#: Minutes of the charts, and failures that are listed.
MINUTES, FAILURES = 60, 8


@dataclass(frozen=True, slots=True)
class Figures:
    """What the tracker has counted."""

    minutes: list[dict[str, Any]]  # statistics.per_minute
    hour: dict[str, float | None]  # statistics.percentiles
    day: dict[str, Any]  # statistics.statistics
    failed: list[dict[str, Any]]
    lines: dict[str, Line]  # by queue
    rates: dict[str, Rates]


@dataclass(frozen=True, slots=True)
class Charts:
    """Tasks by the minute, and how long they took."""

    tasks: list[Bar]
    tasks_top: float
    times: dict[str, Line]
    times_top: float


async def shown() -> Mapping[str, Any]:
    """Everything at once: no answer is waited for twice."""
    figures = asyncio.create_task(REDIS.ask(_figures))
    report, held, alerts, backlog, failures = await asyncio.gather(
        HEALTH.within(health_checker.get_comprehensive_health_report()),
        BROKER.ask(lambda: queues.read(broker).queues),
        ALERTS.ask(firing),
        from_database(overview.backlog),
        _failures(figures),
    )
    counted = await figures
    return {
        "report": report,
        "checks": checks.lines(report.value) if report.value else [],
        "queues": held,
        "alerts": alerts,
        "backlog": backlog,
        "figures": counted,
        "failures": failures,
        "charts": _charts(counted.value) if counted.value else None,
    }


def firing() -> list[Alert]:
    """The alerts that stand, the worst first. Raises AlertsUnknown."""
    return sorted((a for a in current() if a.status == "firing"), key=lambda alert: alert.severity)


def _figures() -> Figures:
    raw: Any = redis.client().lrange(keys.SAMPLES, 0, keys.SAMPLES_KEPT - 1)
    noted = samples.parse(raw)
    return Figures(
        minutes=statistics.per_minute(MINUTES),
        hour=statistics.percentiles(1),
        day=statistics.statistics(24),
        failed=statistics.failed(24, FAILURES),
        lines={queue: charts.line([s.waiting.get(queue) for s in noted]) for queue in QUEUES},
        rates=samples.rates(noted),
    )


async def _failures(figures: asyncio.Task[Answer[Figures]]) -> Answer[list[dict[str, Any]]]:
    """The newest failures [{record, message}]: the tracker knows them, and their rows how they stand by now.

    Found by the row's status, they would have to be searched for: it is in no index, so that a claim stays cheap.
    """
    counted = await figures
    if counted.value is None:
        return Answer(away=counted.away)
    ids = [UUID(record["task_id"]) for record in counted.value.failed if _is_id(record["task_id"])]
    rows = await from_database(lambda connection: overview.those(connection, ids))
    by_id = {str(row["id"]): row for row in rows.value or ()}
    return Answer([{"record": r, "message": by_id.get(r["task_id"])} for r in counted.value.failed])


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _charts(figures: Figures) -> Charts:
    columns = [{"good": m["successful"], "bad": m["failed"]} for m in figures.minutes]
    tasks_top = charts.top(max(sum(column.values()) for column in columns))
    slowest = max((m["p99"] or 0.0 for m in figures.minutes), default=0.0)
    times_top = charts.top(slowest)
    shares = ("p50", "p95", "p99")
    times = {p: charts.line([m[p] for m in figures.minutes], upper=times_top) for p in shares}
    return Charts(charts.bars(columns, upper=tasks_top), tasks_top, times, times_top)
