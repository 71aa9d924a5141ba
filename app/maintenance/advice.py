"""What an operator should do about a cleanup report's figures: nothing, when all is well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: Days of partitions ahead below which their making must have stopped.
FEW_DAYS_AHEAD = 3
#: Seconds that a hold may outlive its time: two ticks of its cleaning.
HOLD_OVERDUE = 600
#: Seconds after which a message that is due and not taken up tells of missing workers.
MESSAGE_OVERDUE = 300
#: Dead rows worth a word: that many, and that share of all.
DEAD_ROWS, DEAD_SHARE = 10_000, 0.2
#: Bytes of free room inside a table worth a word, and their share of it.
WASTED_BYTES, WASTED_SHARE = 100_000_000, 0.3
#: Shares of the usable connections, and of Redis's memory.
CONNECTIONS_SHARE, MEMORY_SHARE = 0.7, 0.85
#: Seconds a transaction may be open; it keeps dead rows from being reclaimed, and days from being dropped.
LONG_TRANSACTION = 600
#: Seconds after which a run that has not ended was killed: the hard limit of its task.
KILLED = 600


def recommendations(stats: dict[str, Any]) -> list[str]:
    """Sentences for the figures of `report.generate` that are not as they should be, the most urgent first."""
    return [*_runs(stats), *_holds_and_messages(stats), *_partitions(stats), *_tables(stats), *_servers(stats)]


def _runs(stats: dict[str, Any]) -> Iterator[str]:
    if not stats["recorded"]:
        yield "No cleanup has run yet: start beat and a worker of the cleanup queue."
        return
    for task, run in stats["runs"].items():
        age = _span(run["age_seconds"] or 0)
        if run["overdue_seconds"] is not None:
            ran = f"last ran {age} ago" if run["started_at"] else "has never run"
            yield f"{task} {ran} and has been due for {_span(run['overdue_seconds'])}: check beat."
        elif run["error"]:
            yield f"{task} failed {age} ago: {run['error']}."
        elif run["finished"] is False and run["age_seconds"] > KILLED:
            yield f"{task} began {age} ago and did not end: its worker was killed, see its log."


def _holds_and_messages(stats: dict[str, Any]) -> Iterator[str]:
    holds, messages = stats["holds"], stats["messages"]
    if holds["longest_seconds"] > HOLD_OVERDUE:
        yield (
            f"{_many(holds['expired'], 'hold')} past the time limit, the longest for"
            f" {_span(holds['longest_seconds'])}: check that cleanup_expired_reservations runs."
        )
    if (messages["oldest_seconds"] or 0) > MESSAGE_OVERDUE:
        yield (
            f"{_many(messages['waiting'], 'message')} to do, the longest due for"
            f" {_span(messages['oldest_seconds'])}: check the workers."
        )
    if messages["unfinished_old"]:
        yield (
            f"{_many(messages['unfinished_old'], 'message')} past retention and unfinished, which keeps their"
            " days: check the workers."
        )


def _partitions(stats: dict[str, Any]) -> Iterator[str]:
    for table, days in stats["partitions"].items():
        if days["days_ahead"] < FEW_DAYS_AHEAD:
            yield f"{table} has partitions for {_many(days['days_ahead'], 'day')} ahead: check prepare_partitions."
        if days["days_past"]:
            yield f"{table} holds {_many(days['days_past'], 'day')} past its retention: check beat."
        if days["half_dropped"]:
            yield f"{table} has {_many(days['half_dropped'], 'day')} detached and not dropped: check beat."


def _tables(stats: dict[str, Any]) -> Iterator[str]:
    for table in stats["tables"]:
        name, dead, wasted = table["name"], table["dead_rows"], table["wasted_bytes"]
        if dead > DEAD_ROWS and dead > DEAD_SHARE * (table["live_rows"] + dead):
            yield f"{name} has {dead} dead rows beside {table['live_rows']} live ones: VACUUM {name}."
        if wasted > WASTED_BYTES and wasted > WASTED_SHARE * table["bytes"]:
            yield f"{name} has about {_size(wasted)} of {_size(table['bytes'])} unused: repack it in a quiet hour."
    for index in stats["unused_indexes"]:
        yield f"{index['name']} takes {_size(index['bytes'])} and nobody has read it: consider dropping it."


def _servers(stats: dict[str, Any]) -> Iterator[str]:
    clients, redis = stats["clients"], stats["redis"]
    if clients["connections"] > CONNECTIONS_SHARE * clients["connections_usable"]:
        yield (
            f"{clients['connections']} of {clients['connections_usable']} database connections are in use:"
            " raise max_connections or run fewer processes."
        )
    if clients["longest_transaction_seconds"] > LONG_TRANSACTION:
        yield (
            f"A transaction has been open for {_span(clients['longest_transaction_seconds'])} and keeps dead rows"
            " from being reclaimed: find it in pg_stat_activity."
        )
    if "error" in redis:
        yield f"Redis did not answer ({redis['error']}): check REDIS_URL."
    elif redis["max_bytes"] and redis["used_bytes"] > MEMORY_SHARE * redis["max_bytes"]:
        yield f"Redis uses {_size(redis['used_bytes'])} of {_size(redis['max_bytes'])}: raise maxmemory."


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _span(seconds: float) -> str:
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (seconds >= length and unit != "days"):
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
