"""`pafar …`: the operators' command line."""

from __future__ import annotations

import sys
from logging import WARNING

import typer
from rich.console import Console

from app.cli import campaign, cleanup, doctor, health, keys, looking, report, sending, stats
from app.cli.console import console
from app.core import logging, migrations
from app.core.errors import PafarError
from app.messages.base import InvalidPayload

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # our own errors are one line, others a plain traceback without locals
)


@app.callback()
def begin() -> None:
    """Pafar's background tasks."""
    logging.configure(WARNING)  # to standard error: what is printed may be read by a program


@app.command()
def migrate() -> None:
    """Bring the database to the newest revision."""
    before, newest = migrations.revisions()
    if before != newest:
        migrations.upgrade()
    console.print(f"The database is at revision {newest}" + (" already." if before == newest else "."))


app.command()(sending.send)
app.command()(stats.stats)
app.command()(looking.tail)
app.command()(doctor.doctor)
app.command()(health.health)
app.command("replay")(sending.replay_failed)
app.add_typer(campaign.app, name="campaign")
app.command()(report.report)
app.add_typer(cleanup.app, name="cleanup")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run the command; an error of ours is one clear line and exit code 1."""
    try:
        app()
    except (PafarError, InvalidPayload) as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        sys.exit(1)
