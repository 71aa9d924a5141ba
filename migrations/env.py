"""Alembic's entry: our engine, our metadata; day partitions are the partition manager's, not Alembic's."""

from __future__ import annotations

import re

from alembic import context

from app.core.database import engine
from app.models import Base

PARTITION = re.compile(r".+_p\d{8}")


def include_name(name: str | None, type_: str, _parents: object) -> bool:
    """Leave day partitions out of comparisons."""
    return not (type_ == "table" and PARTITION.fullmatch(name or ""))


with engine().connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=include_name,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
