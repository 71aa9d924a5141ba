"""What Prometheus is told, read anew from Redis, broker and database at each scrape: any process may answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from app.monitoring import statistics
from app.monitoring.health import health_checker
from app.monitoring.histogram import BOUNDS
from app.monitoring.looks import NoAnswer, look
from app.monitoring.runs import ACCEPTED, RUN, WAIT
from app.monitoring.statistics import Totals

Report = Mapping[str, Any]
T = TypeVar("T")


async def render() -> bytes:
    """The metrics in Prometheus's text form, within two seconds; what can't be read has no samples."""
    report, totals, dead = await asyncio.gather(
        health_checker.get_comprehensive_health_report(),
        _if_known(statistics.totals),
        _if_known(statistics.dead_letters),
    )
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Found(report, totals, dead or {}))
    return generate_latest(registry)


async def _if_known(read: Callable[[], T]) -> T | None:
    try:
        return await look("Redis", read)
    except NoAnswer:
        return None


class _Found(Collector):
    """One scrape's findings."""

    def __init__(self, report: Report, totals: Totals | None, dead_letters: Mapping[str, int]) -> None:
        self._report, self._totals, self._dead_letters = report, totals, dead_letters

    def collect(self) -> Iterable[Metric]:
        parts = self._report["components"]
        well = {name: int(part["healthy"]) for name, part in parts.items()}
        yield _gauge("component_healthy", "1: well.", "component", well)
        yield from _of_queues(parts["queues"]["queues"])
        yield from _of_workers(parts["workers"])
        yield _gauge("canary_age_seconds", "Since one came through.", "queue", parts["canary"].get("ages", {}))
        times = parts["canary"].get("seconds", {})
        yield _gauge("canary_seconds", "How long the last one took.", "queue", times)
        yield _single("beat_age_seconds", "Since beat looked at its schedule.", parts["beat"].get("age_seconds"))
        yield _single("outbox_waiting", "Messages that still need something.", parts["relay"].get("waiting"))
        late = parts["relay"].get("overdue_seconds")
        yield _single("outbox_overdue_seconds", "Of the one overdue the longest.", late)
        yield from _of_channels(parts["providers"].get("channels", {}))
        yield from _of_cleanups(parts["cleanup"].get("runs", {}))
        text = "Failed for good within a week, and not sent since."
        yield _gauge("dead_letters", text, "task", self._dead_letters)
        yield _single("broker_memory_bytes", "In use.", parts["broker"].get("used_bytes"))
        if self._totals is not None:
            yield from _of_tasks(self._totals)


def _of_queues(queues: Mapping[str, Any]) -> Iterator[Metric]:
    told = {
        "queue_length": ("Messages that wait.", "waiting"),
        "queue_held": ("Messages with workers, unacknowledged.", "held"),
        "queue_delayed": ("Of those held, for a time of their own.", "delayed"),
        "queue_oldest_age_seconds": ("Of the message that waits longest.", "oldest_seconds"),
    }
    for name, (text, key) in told.items():
        values = {queue: found[key] for queue, found in queues.items()}
        if key == "oldest_seconds":
            # An empty queue has no oldest: nought, or an alert on it would never end.
            values = {queue: age if queues[queue]["waiting"] else 0 for queue, age in values.items()}
        yield _gauge(name, text, "queue", {queue: value for queue, value in values.items() if value is not None})


def _of_workers(check: Mapping[str, Any]) -> Iterator[Metric]:
    told = {worker["name"]: worker for worker in check["workers"]}
    yield _single("workers", "Workers that are there.", check["total_workers"])
    for name, key, text in (
        ("worker_active_tasks", "active_tasks", "Tasks it runs."),
        ("worker_memory_bytes", "memory_bytes", "Resident, with its children."),
        ("worker_temp_free_ratio", "temp_free_ratio", "Free part of the disk with TEMP_DIR."),
    ):
        yield _gauge(name, text, "worker", {worker: found[key] for worker, found in told.items()})


def _of_channels(channels: Mapping[str, Any]) -> Iterator[Metric]:
    for name, text, values in (
        ("circuit_open", "1: its provider is left alone for a while.", _each(channels, "circuit_open")),
        (
            "channel_configured",
            "1: nothing is missing.",
            {n: not of["missing_settings"] for n, of in channels.items()},
        ),
        ("channel_accepted", "Messages its provider took within an hour.", _each(channels, "accepted")),
        ("channel_failed", "And failed within an hour.", _each(channels, "failed")),
        ("channel_unreachable", "And could not reach within an hour.", _each(channels, "unreachable")),
    ):
        yield _gauge(name, text, "channel", values)


def _of_cleanups(cleanups: Mapping[str, Any]) -> Iterator[Metric]:
    succeeded = {task: at.timestamp() for task, of in cleanups.items() if (at := of["succeeded_at"])}
    text = "When it last succeeded, seconds since 1970."
    yield _gauge("cleanup_last_success_timestamp_seconds", text, "task", succeeded)
    yield _gauge(
        "cleanup_overdue", "1: it has not succeeded since it was due.", "task", _each(cleanups, "overdue")
    )


def _each(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: of[key] for name, of in found.items()}


def _of_tasks(totals: Totals) -> Iterator[Metric]:
    runs = CounterMetricFamily("pafar_tasks", "Runs that ended.", labels=["task", "outcome"])
    for (task, outcome), number in sorted(totals.outcomes.items()):
        runs.add_metric([task, outcome], number)
    yield runs
    yield CounterMetricFamily("pafar_runs_dropped", "Runs not counted: Redis was away.", value=totals.dropped)
    yield _histogram("task_seconds", "How long runs took.", "task", totals, RUN)
    yield _histogram("task_wait_seconds", "How long they waited in their queue.", "task", totals, WAIT)
    yield _histogram("accepted_seconds", "From asked for to accepted.", "objective", totals, ACCEPTED)


def _histogram(name: str, text: str, label: str, totals: Totals, measure: str) -> Metric:
    family = HistogramMetricFamily(f"pafar_{name}", text, labels=[label])
    for (series, measured), counts in sorted(totals.histograms.items()):
        if measured == measure:
            family.add_metric([series], _cumulated(counts), totals.sums.get((series, measure), 0.0))
    return family


def _cumulated(counts: Counter[int]) -> list[tuple[str, float]]:
    seen, buckets = 0, []
    for index, bound in enumerate(BOUNDS):
        seen += counts[index]
        buckets.append((str(float(bound)), float(seen)))
    return [*buckets, ("+Inf", float(counts.total()))]


def _gauge(name: str, text: str, label: str, values: Mapping[str, float | None]) -> Metric:
    family = GaugeMetricFamily(f"pafar_{name}", text, labels=[label])
    for series, value in values.items():
        if value is not None:
            family.add_metric([series], value)
    return family


def _single(name: str, text: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(f"pafar_{name}", text, labels=[])
    if value is not None:
        family.add_metric([], value)
    return family
