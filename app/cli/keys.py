"""`pafar keys …`: who may call the API, and as what."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.api import keys
from app.cli.console import AsJson, console
from app.core.database import session, transaction
from app.models.api_key import ApiKey, Role

app = typer.Typer(help="Keys of the API's callers.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Of the caller; a key that follows another bears the same.")],
    role: Annotated[
        Role, typer.Option(help="A producer books and sends, an operator may do all.")
    ] = Role.PRODUCER,
    days: Annotated[int | None, typer.Option(min=1, help="It ends by itself after so many days.")] = None,
) -> None:
    """Print a new key, the only time that it is seen: nothing but its hash is kept."""
    with transaction() as connection:
        key = keys.create(connection, name=name, role=role, lifetime=timedelta(days) if days else None)
    sys.stdout.write(f"{key}\n")
    Console(stderr=True).print("Keep it now: it can't be shown again.")


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """Show every key that there ever was, without the keys."""
    with session() as s:
        rows = [_shown(key) for key in keys.listed(s)]
    if as_json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    table = Table("ID", "Name", "Role", "Made", "Used last", "Ends")
    for row in rows:
        table.add_row(*(str(value or "-") for value in row.values()))
    console.print(table)


@app.command()
def revoke(number: Annotated[int, typer.Argument(metavar="ID", help="As in pafar keys list.")]) -> None:
    """End a key now."""
    with transaction() as connection:
        ended = keys.revoke(connection, number)
    console.print(
        f"Key {number} is refused since {ended:%Y-%m-%d %H:%M:%S} UTC, in {keys.REMEMBERED:g} s everywhere."
    )


def _shown(key: ApiKey) -> dict[str, str | int | None]:
    moments = {"created_at": key.created_at, "last_used_at": key.last_used_at, "expires_at": key.expires_at}
    told = {what: at.isoformat(timespec="seconds") if at else None for what, at in moments.items()}
    return {"id": key.id, "name": key.name, "role": key.role, **told}
