"""The four ledgers joined: what was intended, the rows, what providers accepted, and Celery's results."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

_COLUMNS = "status, attempt, unknown_attempts, reason, kind, subject, revision, valid_until, finished_at"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A provider took the message. `at` in seconds since 1970; `to` is the address, number or device token."""

    at: float
    to: str


@dataclass(frozen=True, slots=True)
class Story:
    """One intended message in all ledgers. `row` None: it is gone; `result` None: there is none (any more)."""

    id: str
    row: Mapping[str, Any] | None
    accepted: Sequence[Acceptance]
    result: str | None

    @property
    def copies(self) -> int:
        """The most that one recipient got of it."""
        return max(Counter(a.to for a in self.accepted).values(), default=0)

    def as_json(self) -> dict[str, Any]:
        """The story without its recipients."""
        return {**asdict(self), "accepted": [a.at for a in self.accepted]}


def join(
    intended: Iterable[str], rows: Mapping[str, Mapping[str, Any]], entries: Iterable[dict[str, Any]], results: Any
) -> list[Story]:
    """The stories of all `intended` ids. `entries` are the stand-ins', `results` a client of the backend."""
    ids = list(intended)
    accepted: defaultdict[str, list[Acceptance]] = defaultdict(list)
    for entry in entries:
        accepted[_reference(entry)].append(Acceptance(entry["at"], _recipient(entry)))
    states = _states(results, ids)
    return [Story(id_, rows.get(id_), tuple(accepted[id_]), states[id_]) for id_ in ids]


def rows(database_url: str) -> dict[str, dict[str, Any]]:
    """Every message's row by its id, without payloads."""
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        found = connection.execute(f"SELECT id::text, {_COLUMNS} FROM notifications").fetchall()
    return {row["id"]: row for row in found}


def _reference(entry: Mapping[str, Any]) -> str:
    """The id that the provider was given, in each protocol's own place."""
    if entry["channel"] == "email":
        return str(entry["message_id"]).strip("<>").partition("@")[0]
    return str(entry["reference"] if entry["channel"] == "sms" else entry["data"].get("nid"))


def _recipient(entry: Mapping[str, Any]) -> str:
    return str(entry["token"] if entry["channel"] == "push" else entry["to"])


def _states(results: Any, ids: Sequence[str]) -> dict[str, str | None]:
    """Celery's state for each id, read as its Redis backend keeps it; None where there is no result."""
    kept = results.mget([f"celery-task-meta-{id_}" for id_ in ids]) if ids else []
    return {id_: json.loads(raw)["status"] if raw else None for id_, raw in zip(ids, kept, strict=True)}
