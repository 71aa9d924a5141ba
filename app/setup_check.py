"""Is this set-up usable? Prints configuration, tasks, routes and schedule, then what an examination finds."""

from __future__ import annotations

import re
import sys
from urllib.parse import urlsplit

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from app.core.celery_app import celery_app
from app.core.config import Settings, get_settings
from app.core.errors import SettingsError
from app.monitoring import setup

_MASK = "********"
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
    for name, field in type(settings).model_fields.items():
        table.add_row(name.upper(), masked(getattr(settings, name), private=not field.repr))
    console.print(table)


def masked(value: object, *, private: bool = False) -> str:
    """The value for people's eyes: no secret, and of a URL (or several, with ; between them) only where it leads.

    Of a `private` one nothing but that.
    """
    if value is None:
        return "not set"
    text = str(value)
    if isinstance(value, SecretStr) or (private and "://" not in text):
        return _MASK
    return ";".join(_masked_url(part) for part in re.split(r";(?=[a-z+]+://)", text)) if "://" in text else text


def _masked_url(url: str) -> str:
    """Server and database. A webhook's path is a secret, and a password may hold @, / and what begins a query."""
    scheme, _, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    if "?" in login:  # nobody can tell where that password ends
        return f"{scheme}://{_MASK}"
    if scheme.startswith("http"):
        place = urlsplit(f"//{place}").netloc
    return f"{scheme}://{f'{_MASK}@' if at else ''}{re.split('[?#]', place)[0]}"


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
