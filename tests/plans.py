"""How PostgreSQL answers what the product asks, explained at the very moment when it asks, with its parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, event

from app.core.database import engine, transaction
from app.maintenance.partitions import Partitioned

EXPLAINED = ("SELECT", "WITH", "DELETE", "UPDATE", "INSERT")


@dataclass
class Plans:
    """What was planned: each node's type with the table that it reads and the index that it searches."""

    read: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, node: dict[str, Any]) -> None:
        table, index = node.get("Relation Name", ""), node.get("Index Name", "")
        if table or index:
            self.read.append((node["Node Type"], table, index if "Index Cond" in node else ""))
        for child in node.get("Plans", []):
            self.add(child)

    def tables(self, parent: Partitioned) -> set[str]:
        return {table for _, table, _ in self.read if table.startswith(f"{parent.table}_p")}

    def indexes(self) -> set[str]:
        return {index for _, _, index in self.read if index}

    def read_whole(self) -> set[str]:
        """The big tables that were read from end to end."""
        whole = {table for node, table, _ in self.read if node == "Seq Scan"}
        with transaction() as connection:
            query = "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND reltuples >= 1000"
            return set(connection.exec_driver_sql(query, (list(whole),)).scalars())


@contextmanager
def plans() -> Iterator[Plans]:
    """The plans of every statement that is sent inside the block."""
    found = Plans()

    def explain(connection: Connection, _: Any, statement: str, values: Any, *__: Any) -> None:
        if statement.lstrip().startswith(EXPLAINED) and not isinstance(values, list):
            cursor = connection.connection.cursor()
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
            [[plan]] = cursor.fetchall()
            found.add(plan[0]["Plan"])

    event.listen(engine(), "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(engine(), "before_cursor_execute", explain)
