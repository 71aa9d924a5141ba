"""Idle sessions go, whatever is touched, broken or not a session stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from redis import Redis

from app.core import redis
from app.maintenance import sessions
from app.maintenance.sessions import BrokenSession, last_activity, sweep

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CUTOFF = NOW - timedelta(days=30)


def session(moment: datetime | str) -> str:
    at = moment if isinstance(moment, str) else moment.isoformat()
    return json.dumps({"user_id": 7, "last_activity": at})


@pytest.fixture
def server() -> Iterator[Redis]:
    client = redis.client()
    client.flushdb()
    yield client
    client.flushdb()


def test_idle_sessions_go_and_only_those(server: Redis) -> None:
    old, new = CUTOFF - timedelta(seconds=1), CUTOFF + timedelta(seconds=1)
    kept = {
        "session:new": session(new),
        "session:at-the-cutoff": session(CUTOFF),
        "session:later-elsewhere": session("2026-10-24T09:00:00-04:00"),  # 13:00 UTC
        "session:without-zone": session("2026-10-24T12:00:01"),
        "sessions": session(old),
        "user:session:old": session(old),
    }
    idle = {
        "session:old": session(old),
        "session:earlier-elsewhere": session("2026-10-24T12:30:00+01:00"),  # 11:30 UTC
        "session:old-without-zone": session("2026-10-24T11:59:59"),
        "session:old-in-zulu": session("2026-10-01T00:00:00Z"),
    }
    server.mset(kept | idle)
    swept = sweep(server, cutoff=CUTOFF, dry_run=True)
    assert (swept.cleaned, swept.checked, server.dbsize()) == (4, 8, 10)
    swept = sweep(server, cutoff=CUTOFF)
    assert (swept.cleaned, swept.checked, swept.complete, swept.broken) == (4, 8, True, {})
    assert {cast("bytes", key).decode() for key in server.scan_iter()} == set(kept)
    assert sweep(server, cutoff=CUTOFF).cleaned == 0


def test_broken_sessions_are_counted_by_reason_and_left(server: Redis) -> None:
    server.mset(
        {
            "session:a": "no JSON",
            "session:b": b"\xff\x00",
            "session:c": "[]",
            "session:d": "{}",
            "session:e": '{"last_activity": null}',
            "session:f": '{"last_activity": 1700000000}',
            "session:g": session("yesterday"),
            "session:old": session(CUTOFF - timedelta(days=1)),
        }
    )
    server.hset("session:h", "last_activity", CUTOFF.isoformat())
    swept = sweep(server, cutoff=CUTOFF)
    assert (swept.cleaned, swept.checked) == (1, 9)
    assert swept.broken == {
        "not JSON": 2,
        "no last_activity": 3,
        "last_activity is no ISO 8601 time": 2,
        "not a string": 1,
    }
    assert server.dbsize() == 8


def test_a_session_touched_after_it_was_read_stays(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    old, touched = session(CUTOFF - timedelta(days=1)), session(NOW)
    server.mset({f"session:{n}": old for n in range(10)})
    unlink = sessions._unlink

    def passenger_comes_back(client: Redis, idle: Any) -> int:
        server.set("session:3", touched)
        server.delete("session:4")
        return unlink(client, idle)

    monkeypatch.setattr(sessions, "_unlink", passenger_comes_back)
    assert sweep(server, cutoff=CUTOFF).cleaned == 8
    assert [*server.scan_iter()] == [b"session:3"]
    assert server.get("session:3") == touched.encode()


def test_many_sessions_go_page_by_page_and_never_all_keys_at_once(server: Redis) -> None:
    old, new = session(CUTOFF - timedelta(days=1)), session(NOW)
    server.mset({f"session:{n}": old if n % 10 == 0 else new for n in range(20_000)})
    server.config_resetstat()
    assert sweep(server, cutoff=CUTOFF).cleaned == 2000
    assert server.dbsize() == 18_000
    commands = cast("dict[str, dict[str, int]]", server.info("commandstats"))
    assert "cmdstat_keys" not in commands
    assert commands["cmdstat_scan"]["calls"] >= 20_000 // sessions.PAGE


def test_a_run_ends_with_its_time_and_says_that_it_is_not_complete(server: Redis) -> None:
    server.set("session:old", session(CUTOFF - timedelta(days=1)))
    swept = sweep(server, cutoff=CUTOFF, seconds=0)
    assert (swept.cleaned, swept.complete, server.dbsize()) == (0, False, 1)


def test_what_a_session_may_say() -> None:
    assert last_activity(session("2026-10-24").encode()) == datetime(2026, 10, 24, tzinfo=UTC)
    with pytest.raises(BrokenSession, match="not JSON") as caught:
        last_activity(b"secret")
    assert "secret" not in str(caught.value)
