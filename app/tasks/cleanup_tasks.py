"""What keeps the database clean and ready, run by beat."""

from __future__ import annotations

from typing import Any

from app.core.celery_app import celery_app
from app.core.database import transaction
from app.maintenance import partitions


@celery_app.task(name="app.tasks.cleanup_tasks.prepare_partitions", soft_time_limit=540, time_limit=600)
def prepare_partitions() -> dict[str, Any]:
    """Make the day partitions of the coming week. Returns success, message, created_count."""
    with transaction() as connection:
        created = partitions.ensure_ahead(connection)
    return {"success": True, "message": f"{created} day partitions made", "created_count": created}
