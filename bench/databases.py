"""Databases other than the house's, for benches of big tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from app.core.config import get_settings
from app.core.database import dispose


@contextmanager
def using(url: str) -> Iterator[None]:
    """Inside the block, the application's connections lead to this database."""
    before = os.environ["DATABASE_URL"]
    _use(url)
    try:
        yield
    finally:
        _use(before)


def _use(url: str) -> None:
    dispose()
    os.environ["DATABASE_URL"] = url
    get_settings.cache_clear()
