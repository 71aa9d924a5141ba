"""Who pressed which button: written with the deed itself, so that neither is there without the other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.types import Uuid

#: Lines on one page of the record.
PAGE = 50


class Action(StrEnum):
    """What a button does."""

    REPLAY = "replay"  #: a failed message is put back to be sent
    REVEAL = "reveal"  #: whom a message is for was shown
    PAUSE = "pause"  #: a campaign sends no more until it is resumed
    RESUME = "resume"  #: it goes on
    CANCEL = "cancel"  #: what is left of it is never sent


@dataclass(frozen=True, slots=True)
class Done:
    """One line of the record."""

    id: int
    created_at: datetime
    operator: str
    action: Action
    target: UUID


_COLUMNS = "SELECT id, created_at, operator, action, target FROM operator_actions"


def record(connection: Connection, operator: str, action: Action, target: UUID) -> None:
    """Note that `operator` does `action` to the message or campaign `target` in this transaction."""
    connection.execute(
        text("INSERT INTO operator_actions (operator, action, target) VALUES (:operator, :action, :target)"),
        {"operator": operator, "action": action, "target": target},
    )


def of(connection: Connection, target: UUID) -> list[Done]:
    """What was done to one message or campaign, oldest first."""
    return _read(connection, f"{_COLUMNS} WHERE target = :target ORDER BY id", target=target)


def newest(connection: Connection, *, before: int | None = None) -> list[Done]:
    """A page of the record, newest first; with `before`, of the lines older than that one."""
    where = "WHERE id < :before" if before is not None else ""
    return _read(connection, f"{_COLUMNS} {where} ORDER BY id DESC LIMIT :limit", before=before, limit=PAGE)


def _read(connection: Connection, query: str, **values: object) -> list[Done]:
    found = connection.execute(text(query).columns(target=Uuid), values)
    return [Done(**{**row._mapping, "action": Action(row.action)}) for row in found]
