"""`pafar health`: whether the house works, and why not."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import typer

from app.cli.console import AsJson, console
from app.core.config import get_settings
from app.core.errors import PafarError
from app.utils.task_monitoring import health_checker

#: Exit codes beside 0.
UNHEALTHY, CAN_NOT_TELL = 1, 2


def health(as_json: AsJson = False) -> None:
    """Say whether the house works, and why not.

    Exit codes: 0 healthy, 1 unhealthy, 2 can't tell.
    """
    try:
        get_settings()
        report = asyncio.run(health_checker.get_comprehensive_health_report())
    except PafarError as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(CAN_NOT_TELL) from None
    if as_json:
        sys.stdout.write(json.dumps(report, default=str) + "\n")
    else:
        _print(report)
    if not report["overall_healthy"]:
        raise typer.Exit(UNHEALTHY)


def _print(report: dict[str, Any]) -> None:
    for name, component in report["components"].items():
        mark, style = ("✓", "green") if component["healthy"] else ("✗", "red")
        console.print(f"{mark} {name}: {component['message']}", style=style, markup=False, highlight=False)
    for advice in report["recommendations"]:
        console.print(f"→ {advice}", markup=False, highlight=False)
    console.print("Healthy." if report["overall_healthy"] else "Not healthy.")
