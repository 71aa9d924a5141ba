"""Brings the database to the newest revision, and tells whether it is there.

Alembic is imported when it is needed: it took a tenth of what a worker spends on its start.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.database import transaction

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).resolve().parents[2] / "migrations"


def config() -> Config:
    """Alembic's configuration: our scripts, wherever the process was started."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(SCRIPTS))
    settings.set_main_option("path_separator", "os")
    return settings


def upgrade() -> None:
    """Run every migration not yet run."""
    from alembic import command

    command.upgrade(config(), "head")


@cache
def newest() -> str | None:
    """The newest revision that this process's code knows."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config()).get_current_head()


def revisions() -> tuple[str | None, str | None]:
    """(the database's revision, the newest one); equal when nothing is left to run."""
    from alembic.runtime.migration import MigrationContext

    with transaction() as connection:
        return MigrationContext.configure(connection).get_current_revision(), newest()
