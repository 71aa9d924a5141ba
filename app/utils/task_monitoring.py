"""What tasks did and how they do, for whoever asks: by a fixed name, for programs of any kind."""

from __future__ import annotations

import time
from typing import Any

from anyio import to_thread

from app.monitoring import statistics
from app.monitoring.health import TaskHealthChecker, health_checker
from app.monitoring.runs import FAILED, RETRYING, SUCCESS, Run
from app.monitoring.signals import explain
from app.monitoring.tracker import tracker

__all__ = ["TaskHealthChecker", "TaskMonitor", "health_checker", "task_monitor"]

#: Seconds for which a task that runs elsewhere is believed to run on, unless its end is told.
BELIEVED_ELSEWHERE = 900.0


class TaskMonitor:
    """Reads what the workers noted, and notes what runs elsewhere; Redis is waited for in a thread.

    The questions raise redis.RedisError when Redis is away. The notes never do: they wait in this process, and are
    written with the next ones.
    """

    async def get_task_status(self, task_id: str) -> dict[str, Any] | None:
        """The task's record (see `statistics.status`), None if there is none: kept 24 h, a failure 7 days."""
        return await to_thread.run_sync(statistics.status, task_id)

    async def get_failed_tasks(self, hours: float = 24) -> list[dict[str, Any]]:
        """The records of tasks that failed, newest first, at most 1000. Raises ValueError for `hours`."""
        return await to_thread.run_sync(statistics.failed, hours)

    async def get_task_statistics(self, hours: float = 24) -> dict[str, Any]:
        """Counts and the average run time (see `statistics.statistics`). Raises ValueError for `hours`."""
        return await to_thread.run_sync(statistics.statistics, hours)

    async def log_task_start(self, task_id: str, task_name: str) -> None:
        """Note that a task began which no worker of ours runs."""
        now = time.time()
        await _note(
            Run(task_id=task_id, task_name=task_name, started_at=now, believed_until=now + BELIEVED_ELSEWHERE)
        )

    async def log_task_success(
        self, task_id: str, task_name: str, execution_time_seconds: float | None = None
    ) -> None:
        """Note that it succeeded. Without the seconds it took it counts for no average and no percentile."""
        await _note(_ended(task_id, task_name, SUCCESS, execution_time_seconds))

    async def log_task_failure(
        self, task_id: str, task_name: str, error: BaseException | str, execution_time_seconds: float | None = None
    ) -> None:
        """Note that it failed for good. The error is cut, and addresses, numbers and secrets taken out."""
        await _note(_ended(task_id, task_name, FAILED, execution_time_seconds, error))

    async def log_task_retry(self, task_id: str, task_name: str, error: BaseException | str) -> None:
        """Note that it failed and will be tried again; each call adds one to its retry_count."""
        await _note(_ended(task_id, task_name, RETRYING, None, error))


def _ended(
    task_id: str, task_name: str, status: str, seconds: float | None, error: BaseException | str | None = None
) -> Run:
    reason = explain(task_name, error) if error is not None else ""
    return Run(
        task_id=task_id,
        task_name=task_name,
        status=status,
        ended_at=time.time(),
        seconds=seconds,
        error=reason,
    )


async def _note(run: Run) -> None:
    tracker.record(run)
    await to_thread.run_sync(tracker.flush)


task_monitor = TaskMonitor()
