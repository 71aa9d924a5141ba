"""Is this set-up usable? Prints configuration, tasks, routes and schedule, then asks what must answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import kombu.exceptions
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from app.core.celery_app import BEAT_SCHEDULE, QUEUES, celery_app
from app.core.config import Settings, get_settings, missing_for
from app.core.errors import PafarError, SettingsError
from app.core.migrations import revisions
from app.core.startup import check_startup

#: Seconds that workers get to answer, and that the broker gets to connect.
PING_TIMEOUT, CONNECT_TIMEOUT = 2, 2

#: (what, whether it is usable, in a few words)
Finding = tuple[str, bool, str]


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
    findings = list(_findings(settings))
    for what, usable, words in findings:
        console.print(
            f"{'✓' if usable else '✗'} {what}: {words}", style="green" if usable else "red", markup=False
        )
    usable = all(ok for _, ok, _ in findings)
    console.print("The set-up is usable." if usable else "The set-up is not usable yet; mend what is marked ✗.")
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
    for entry, what in BEAT_SCHEDULE.items():
        schedule.add_row(entry, str(what["task"]), f"{what['schedule']:.0f} s")
    console.print(schedule)


def _findings(settings: Settings) -> Iterator[Finding]:
    checks: dict[str, Callable[[], str]] = {
        "settings": lambda: _check_settings(settings),
        "database": _ask_database,
        "broker": _ask_broker,
        "workers": _ask_workers,
    }
    for what, check in checks.items():
        try:
            yield what, True, check()
        except PafarError as error:
            yield what, False, str(error)


def _channel(channel: str, settings: Settings) -> str:
    """An unconfigured channel is a choice, no fault: the others work without it."""
    missing = missing_for(channel, settings)
    return f"unconfigured, set {', '.join(missing)} to use it" if missing else "configured"


def _check_settings(settings: Settings) -> str:
    check_startup(settings)
    return "complete"


def _ask_database() -> str:
    current, newest = revisions()
    if current != newest:
        raise PafarError(f"at revision {current or 'none'} instead of {newest}: run pafar migrate")
    return f"answers, at revision {newest}"


def _ask_broker() -> str:
    try:
        with celery_app.connection_for_write(connect_timeout=CONNECT_TIMEOUT) as connection:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_TIMEOUT)
            return "answers"
    except (kombu.exceptions.KombuError, OSError) as error:
        raise PafarError("does not answer: start Redis or Valkey and set CELERY_BROKER_URL") from error


def _ask_workers() -> str:
    try:
        _ask_broker()
    except PafarError as error:
        raise PafarError("can't be asked while the broker is away") from error
    answers = celery_app.control.inspect(timeout=PING_TIMEOUT).active_queues() or {}
    if not answers:
        raise PafarError("none answers: start one with celery -A app.core.celery_app worker --loglevel=info")
    consumed = {queue["name"] for queues in answers.values() for queue in queues}
    if unread := [queue for queue in QUEUES if queue not in consumed]:
        raise PafarError(f"{len(answers)} answer, but nobody consumes {', '.join(unread)}")
    return f"{len(answers)} answer, all queues are consumed"
