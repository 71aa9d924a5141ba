"""What the database's catalog and statistics say of itself; nothing here reads a big table."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from app.core.uuid7 import first_id
from app.maintenance.dropping import is_over
from app.maintenance.partitions import PARTITIONED, Partitioned, days

#: Bytes below which an index that nobody reads costs nothing worth a word.
BIG_INDEX = 10_000_000
#: Days of statistics without which "never read" means nothing.
STATISTICS_DAYS = 14

# A row's size is what ANALYZE saw, and 28 bytes of header and pointer (PostgreSQL manual, "Database Page Layout").
# The statistics count from 0 after a crash and on a promoted standby: the catalog's count, which survives both,
# is the least there is. Partitions count as their table.
_TABLES = text("""
    WITH sized AS (
        SELECT coalesce(parent.relname, c.relname) AS name, live_rows, s.n_dead_tup, s.last_autovacuum,
               pg_table_size(c.oid) AS bytes, pg_indexes_size(c.oid) AS index_bytes,
               pg_relation_size(c.oid) - live_rows * (28 + width) * 100 / fillfactor AS wasted
        FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
        LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent,
        LATERAL (SELECT greatest(s.n_live_tup, c.reltuples::bigint) AS live_rows) AS counted,
        LATERAL (SELECT sum((1 - null_frac) * avg_width) AS width FROM pg_stats
                 WHERE schemaname = s.schemaname AND tablename = s.relname) AS analyzed,
        LATERAL (SELECT coalesce(max(option_value::int), 100) AS fillfactor
                 FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor') AS storage
        WHERE s.schemaname = current_schema() AND c.relkind = 'r'
    )
    SELECT name, sum(live_rows)::bigint AS live_rows, sum(n_dead_tup)::bigint AS dead_rows,
           sum(bytes)::bigint AS bytes, sum(index_bytes)::bigint AS index_bytes,
           sum(greatest(wasted, 0))::bigint AS wasted_bytes, max(last_autovacuum) AS last_autovacuum
    FROM sized GROUP BY name ORDER BY sum(bytes + index_bytes) DESC, name
""")

# Nobody says since when reads are counted. The latest of these is no earlier: the database's own reset; the
# server's, which a crash does by itself; the start; and, for a standby, which counted only its own readers until
# then, the last transaction that it replayed before it was promoted.
STATISTICS_SINCE = """
    SELECT greatest(d.stats_reset, server.stats_reset, pg_postmaster_start_time(), pg_last_xact_replay_timestamp())
    FROM pg_stat_database d, pg_stat_bgwriter server WHERE d.datname = current_database()
"""

_UNUSED_INDEXES = text(f"""
    SELECT coalesce(parent.relname, c.relname) AS name, sum(pg_relation_size(c.oid))::bigint AS bytes
    FROM pg_stat_user_indexes s JOIN pg_index x ON x.indexrelid = s.indexrelid
    JOIN pg_class c ON c.oid = s.indexrelid
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
    WHERE s.schemaname = current_schema() AND NOT x.indisunique AND NOT x.indisexclusion
      AND ({STATISTICS_SINCE}) < now() - make_interval(days => :statistics_days)
    GROUP BY 1 HAVING sum(s.idx_scan) = 0 AND sum(pg_relation_size(c.oid)) >= :big ORDER BY 2 DESC
""")  # noqa: S608 - made of constants

_CLIENTS = text("""
    SELECT count(*) AS connections,
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
               AS connections_usable,
           coalesce(max(extract(epoch FROM clock_timestamp() - xact_start))
                    FILTER (WHERE pid <> pg_backend_pid()), 0)::float8 AS longest_transaction_seconds
    FROM pg_stat_activity WHERE backend_type = 'client backend'
""")

# Shares of the values that ANALYZE found in a table and its partitions; a rare status may be missing.
_STATUSES = text("""
    SELECT value AS status, sum(share * greatest(reltuples, 0))::bigint AS estimate
    FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
    JOIN pg_stats ON tablename = c.relname AND schemaname = current_schema() AND attname = 'status',
         unnest(CAST(CAST(most_common_vals AS text) AS text[]), most_common_freqs) AS common(value, share)
    WHERE coalesce(i.inhparent, c.oid) = CAST(:table AS regclass) AND c.relkind = 'r'
    -- an emptied table keeps the statistics of what it held
    GROUP BY 1 HAVING sum(share * greatest(reltuples, 0)) >= 0.5 ORDER BY 2 DESC
""")

_HOLDS = text("""
    SELECT count(*) AS expired,
           coalesce(extract(epoch FROM max(clock_timestamp() - expires_at)), 0)::float8 AS longest_seconds
    FROM bookings WHERE status = 'pending' AND expires_at < (SELECT clock_timestamp())
""")


def tables(connection: Connection) -> list[dict[str, Any]]:
    """[{name, live_rows, dead_rows, bytes, index_bytes, wasted_bytes, last_autovacuum}], the biggest first.

    Rows and waste are estimates from the last ANALYZE and the statistics since, waste rather too low.
    """
    found = [dict(row._mapping) for row in connection.execute(_TABLES)]
    return [row | {"last_autovacuum": _iso(row["last_autovacuum"])} for row in found]


def unused_indexes(connection: Connection) -> list[dict[str, Any]]:
    """[{name, bytes}] of indexes that no rule needs and nobody has read.

    None while the statistics reach back less than STATISTICS_DAYS.
    """
    values = {"big": BIG_INDEX, "statistics_days": STATISTICS_DAYS}
    return [dict(row._mapping) for row in connection.execute(_UNUSED_INDEXES, values)]


def clients(connection: Connection) -> dict[str, Any]:
    """{connections, connections_usable, longest_transaction_seconds} of the database server."""
    return dict(connection.execute(_CLIENTS).one()._mapping)


def statuses(connection: Connection, table: str) -> dict[str, int]:
    """{status: rows} of `table`, as estimated by the last ANALYZE."""
    return {row.status: row.estimate for row in connection.execute(_STATUSES, {"table": table})}


def holds(connection: Connection) -> dict[str, Any]:
    """{expired, longest_seconds}: holds whose time is over and that still keep their seats."""
    return dict(connection.execute(_HOLDS).one()._mapping)


def partitions(connection: Connection, cutoffs: dict[str, datetime]) -> dict[str, dict[str, Any]]:
    """{table: {oldest_day, days_ahead, days_past, half_dropped}}; `cutoffs` are when their rows get too old.

    `days_past` are whole days older than that; `half_dropped` are detached and still there.
    """
    today = connection.execute(text("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date")).scalar_one()
    return {parent.table: _partitions(connection, parent, today, cutoffs[parent.table]) for parent in PARTITIONED}


def _partitions(connection: Connection, parent: Partitioned, today: date, cutoff: datetime) -> dict[str, Any]:
    there = days(connection, parent, attached=True)
    ahead = 0
    while today + timedelta(days=ahead + 1) in there:
        ahead += 1
    detached = days(connection, parent, attached=False)
    return {
        "oldest_day": there[0].isoformat() if there else None,
        "days_ahead": ahead,
        "days_past": sum(is_over(day, cutoff) for day in there),
        "half_dropped": sum(is_over(day, cutoff) for day in detached),
    }


def unfinished_before(connection: Connection, cutoff: datetime) -> int:
    """Messages accepted before `cutoff` that something is still to be done for."""
    query = text("SELECT count(*) FROM outbox WHERE id < :first")
    return int(connection.execute(query, {"first": first_id(cutoff)}).scalar_one())


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
