"""Is this set-up usable? Prints configuration, tasks, routes and schedule, then what an examination finds."""

from __future__ import annotations

import sys

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from app.core.celery_app import celery_app
from app.core.config import Settings, get_settings
from app.core.errors import SettingsError
from app.monitoring import setup

_STYLES = {setup.OK: "green", setup.WARNING: "yellow", setup.ERROR: "red"}


def main() -> int:
    """Print all of it to standard output; 0 if usable, 1 if not."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        settings = get_settings()
    except SettingsError as error:
        console.print(str(error), markup=False)
        return 1
    _print_configuration(console, settings)
    _print_tasks(console)
    usable = True
    for finding in setup.examine(settings):
        console.print(str(finding), style=_STYLES[finding.state], markup=False, highlight=False)
        usable &= finding.state != setup.ERROR
    console.print("The set-up is usable." if usable else "Not usable yet: pafar doctor says how to mend it.")
    return 0 if usable else 1


def _print_configuration(console: Console, settings: Settings) -> None:
    table = Table("Setting", "Value", title="Configuration", title_justify="left")
    for name in type(settings).model_fields:
        table.add_row(name.upper(), _masked(getattr(settings, name)))
    console.print(table)


def _masked(value: object) -> str:
    """The value for people's eyes: no secret, and no password in a URL."""
    if isinstance(value, SecretStr):
        return "********"
    text = "not set" if value is None else str(value)
    return (
        make_url(text).render_as_string(hide_password=True).replace("***", "********") if "://" in text else text
    )


def _print_tasks(console: Console) -> None:
    celery_app.loader.import_default_modules()
    table = Table("Task", "Queue", title="Registered tasks and their queues", title_justify="left")
    for name in sorted(n for n in celery_app.tasks if n.startswith("app.")):
        table.add_row(name, celery_app.amqp.router.route({}, name)["queue"].name)
    console.print(table)
    schedule = Table("Entry", "Task", "Every", title="Schedule", title_justify="left")
    for entry, what in celery_app.conf.beat_schedule.items():
        schedule.add_row(entry, str(what["task"]), str(what["schedule"]))
    console.print(schedule)
