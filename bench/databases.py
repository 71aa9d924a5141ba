"""Databases other than the house's, PostgreSQL's and Valkey's, for benches of many rows or keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from app.core import database, redis
from app.core.config import get_settings

Variable = Literal["DATABASE_URL", "REDIS_URL"]


@contextmanager
def using(url: str, variable: Variable = "DATABASE_URL") -> Iterator[None]:
    """Inside the block, the application's connections that `variable` names lead there."""
    before = os.environ[variable]
    _use(url, variable)
    try:
        yield
    finally:
        _use(before, variable)


def _use(url: str, variable: Variable) -> None:
    database.dispose()
    redis.client.cache_clear()
    os.environ[variable] = url
    get_settings.cache_clear()
