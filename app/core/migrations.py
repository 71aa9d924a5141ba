"""Brings the database to the newest revision, and tells whether it is there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.core.database import transaction

SCRIPTS = Path(__file__).resolve().parents[2] / "migrations"


def config() -> Config:
    """Alembic's configuration: our scripts, wherever the process was started."""
    settings = Config()
    settings.set_main_option("script_location", str(SCRIPTS))
    settings.set_main_option("path_separator", "os")
    return settings


def upgrade() -> None:
    """Run every migration not yet run."""
    command.upgrade(config(), "head")


@cache
def newest() -> str | None:
    """The newest revision that this process's code knows."""
    return ScriptDirectory.from_config(config()).get_current_head()


def revisions() -> tuple[str | None, str | None]:
    """(the database's revision, the newest one); equal when nothing is left to run."""
    with transaction() as connection:
        return MigrationContext.configure(connection).get_current_revision(), newest()
