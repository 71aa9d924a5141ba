"""`pafar doctor`: what is wrong with this set-up, and how to mend it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import typer

from app.cli.console import AsJson, console
from app.core.config import get_settings
from app.core.errors import PafarError
from app.monitoring import setup

#: Exit codes beside 0.
UNUSABLE, CAN_NOT_TELL = 1, 2

_STYLES = {setup.OK: "green", setup.WARNING: "yellow", setup.ERROR: "red"}


def doctor(as_json: AsJson = False) -> None:
    """Say what is wrong with this set-up and how to mend it.

    ✓ is right, ! is worth knowing, ✗ must be mended. Exit codes: 0 nothing is ✗, 1 something is, 2 can't tell,
    for a setting is malformed.
    """
    try:
        settings = get_settings()
    except PafarError as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(CAN_NOT_TELL) from None
    findings = []
    for finding in setup.examine(settings):
        findings.append(finding)
        if not as_json:
            console.print(str(finding), style=_STYLES[finding.state], markup=False, highlight=False)
            if finding.mend:
                console.print(f"    {finding.mend}", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings]) + "\n")
    if any(finding.state == setup.ERROR for finding in findings):
        raise typer.Exit(UNUSABLE)
