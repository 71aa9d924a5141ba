"""What deploy/ says is what the code has: queues, commands, settings, metrics."""

from __future__ import annotations

import asyncio
import importlib
import re

import click
import pytest
import uvicorn
from celery.bin.beat import beat
from celery.bin.worker import worker
from dotenv import dotenv_values

from app import cli
from app.core.celery_app import QUEUES
from app.core.config import Settings
from app.core.errors import SettingsError
from app.core.startup import EXAMPLE, check_startup
from app.monitoring.metrics import render
from app.notifications.store import LEASE
from tests.deployment import CELERY, DEPLOY, FORMATS, manifests, units
from tests.house import ROOT

#: Variables that no setting reads: what Python, systemd's units and the compose file take for themselves.
NO_SETTINGS = {"PYTHONDONTWRITEBYTECODE", "POOL", "POSTGRES_PASSWORD"}


@pytest.mark.parametrize("form", FORMATS)
def test_every_queue_has_its_worker_and_the_rest_is_there_once(form: str) -> None:
    commands = [unit.command for unit in units(form)]
    assert sorted(unit.queue for unit in units(form) if unit.queue) == sorted(QUEUES)
    assert len([command for command in commands if command[:4] == [*CELERY, "beat"]]) == 1
    assert len([command for command in commands if "app.main:create_app" in command]) == 1
    assert len([command for command in commands if "migrate" in command]) == (form != "supervisor")


@pytest.mark.parametrize("form", FORMATS)
def test_every_command_is_one_that_the_program_takes(form: str) -> None:
    parsers: dict[str, click.Command] = {"worker": worker, "beat": beat, "uvicorn": uvicorn.main}
    for name, command, _, _ in units(form):
        if command[:3] == CELERY and command[3] in parsers:
            assert command[4] == "--loglevel=info", name
            parses(parsers[command[3]], command[4:])
        elif command[0] == "uvicorn":
            parses(parsers["uvicorn"], command[1:])
            factory = command[command.index("--factory") + 1].split(":")
            assert callable(getattr(importlib.import_module(factory[0]), factory[1]))
        elif command[0] == "python":
            assert command[1:] == ["-m", "app.cli", cli.migrate.__name__], name
        else:
            assert command[:4] == [*CELERY, "flower"], name


def parses(program: click.Command, options: list[str]) -> None:
    """Raises click's error for an option that the program does not have."""
    program.make_parser(click.Context(program)).parse_args(list(options))


@pytest.mark.parametrize("form", FORMATS)
def test_pools_fit_the_work_and_nobody_is_killed_in_the_middle_of_a_send(form: str) -> None:
    workers = [unit for unit in units(form) if unit.queue]
    for unit in workers:
        pool = unit.command[unit.command.index("-P") + 1]
        assert pool == ("prefork" if unit.queue == "cleanup" else "threads"), unit.name
        assert {"--without-gossip", "--without-mingle"} <= set(unit.command), unit.name
        assert unit.grace >= max(60, 2 * LEASE), unit.name
        assert "HEARTBEAT_FILE" in unit.environment, unit.name


def test_every_variable_is_a_setting() -> None:
    known = {name.upper() for name in Settings.model_fields} | NO_SETTINGS
    example = set(dotenv_values(DEPLOY / "pafar.env.example"))
    assert example <= known
    for form in FORMATS:
        for unit in units(form):
            assert unit.environment <= known, unit.name


def test_no_value_of_the_example_is_in_quotes() -> None:
    raw = [
        line for line in (DEPLOY / "pafar.env.example").read_text().splitlines() if "=" in line and line[0] != "#"
    ]
    assert [line for line in raw if set(line) & set("\"'`$")] == []


def test_production_refuses_the_example_and_names_all_that_is_to_be_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    example = {name: value or "" for name, value in dotenv_values(DEPLOY / "pafar.env.example").items()}
    for name, value in example.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refusal:
        check_startup(Settings())
    named = set(re.findall(r"^  (\w+) ", str(refusal.value), re.M))
    assert named == {name for name, value in example.items() if EXAMPLE.search(value)} - NO_SETTINGS
    assert (
        named
        >= {name for name, value in example.items() if value and re.search("KEY|PASSWORD|DATABASE", name)}
        - NO_SETTINGS
    )


def test_workers_of_the_sending_queues_differ_in_nothing_but_the_queue() -> None:
    texts = {
        queue: (DEPLOY / f"kubernetes/worker-{queue}.yaml").read_text()
        for queue in ("email", "sms", "notifications")
    }
    alike = {re.sub(r'threshold: "\d+"', "", text.replace(queue, "QUEUE")) for queue, text in texts.items()}
    assert len(alike) == 1


@pytest.mark.usefixtures("house")
def test_what_scales_the_workers_is_measured() -> None:
    measured = set(re.findall(r"^# TYPE (\w+) ", asyncio.run(render()).decode(), re.M))
    scaled = {name: thing["spec"] for name, thing in manifests().items() if thing["kind"] == "ScaledObject"}
    assert set(scaled) == {f"ScaledObject/pafar-worker-{queue}" for queue in QUEUES if queue != "cleanup"}
    for name, spec in scaled.items():
        target = spec["scaleTargetRef"]["name"]
        assert f"Deployment/{target}" in manifests()
        queries = [trigger["metadata"]["query"] for trigger in spec["triggers"]]
        words = {re.fullmatch(r'max\((\w+)\{queue="(\w+)"\}\)', query).groups() for query in queries}  # type: ignore[union-attr]
        assert {metric for metric, _ in words} == {
            "pafar_queue_length",
            "pafar_queue_oldest_age_seconds",
        } & measured
        assert {queue for _, queue in words} == {target.removeprefix("pafar-worker-")}, name


def test_flower_is_the_one_that_is_tested_and_shares_the_pins() -> None:
    pins = dict(re.findall(r"^(\S+)==(\S+)", (ROOT / "requirements-dev.txt").read_text(), re.M))
    ours = dict(re.findall(r"^(\S+)==(\S+)", (DEPLOY / "requirements-flower.txt").read_text(), re.M))
    assert {name: pins.get(name) for name in ours} == ours
