"""Who pressed which button: written with the deed itself, so that neither is there without the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

#: Lines on one page of the record.
PAGE = 50


class Action(StrEnum):
    """What a button does."""

    REPLAY = "replay"  #: a failed message is put back to be sent
    REVEAL = "reveal"  #: whom a message is for was shown
    FIND = "find"  #: it was found by whom it is for; without a target, nothing was
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
    target: UUID | None


_COLUMNS = "SELECT id, created_at, operator, action, target FROM operator_actions"


_RECORD = text(
    "INSERT INTO operator_actions (operator, action, target) SELECT :operator, :action, unnest(:targets)"
).bindparams(bindparam("targets", type_=ARRAY(Uuid)))


def record(connection: Connection, operator: str, action: Action, *targets: UUID) -> None:
    """Note that `operator` does `action` to these messages or campaigns in this transaction, a line for each.

    Without any, one line: that a search found nothing is worth knowing of whoever tries numbers.
    """
    lines: Sequence[UUID | None] = targets or [None]
    connection.execute(_RECORD, {"operator": operator, "action": action, "targets": list(lines)})


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
