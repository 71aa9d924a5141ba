"""What deploy/ says, read from each of its formats into one form."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from app.core.celery_app import QUEUES
from tests.house import ROOT

DEPLOY = ROOT / "deploy"
CELERY = ["celery", "-A", "app.core.celery_app"]
FORMATS = ("compose", "kubernetes", "supervisor", "systemd")


class Unit(NamedTuple):
    """One process as one format describes it: its command, its variables, and the seconds it gets to stop."""

    name: str
    command: list[str]
    environment: set[str]
    grace: float

    @property
    def queue(self) -> str | None:
        """The queue it works for, None if it is no worker."""
        return self.command[self.command.index("-Q") + 1] if "worker" in self.command else None


def compose() -> dict[str, Any]:
    """The compose file's services, merged."""
    services: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return services


def manifests() -> dict[str, Any]:
    """Kubernetes objects by kind and name."""
    files = [path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml"]
    found = [thing for path in files for thing in yaml.safe_load_all(path.read_text())]
    return {f"{thing['kind']}/{thing['metadata']['name']}": thing for thing in found}


def pods() -> dict[str, Any]:
    """The pod specifications among them."""
    running = {name: thing["spec"] for name, thing in manifests().items() if "template" in thing.get("spec", {})}
    return {name: spec["template"]["spec"] for name, spec in running.items()}


def units(form: str) -> Iterator[Unit]:
    """Every process of ours that a format starts."""
    if form == "compose":
        for name, service in compose().items():
            if "build" in service:
                command = service.get("command", dockerfile_command("CMD"))
                yield Unit(
                    name, command, set(service["environment"]), seconds(service.get("stop_grace_period", "10s"))
                )
    elif form == "kubernetes":
        for name, pod in pods().items():
            [container] = pod["containers"]
            variables = {variable["name"] for variable in container.get("env", [])}
            yield Unit(name, container["command"], variables, pod.get("terminationGracePeriodSeconds", 30))
    elif form == "supervisor":
        parser = RawConfigParser(inline_comment_prefixes=(" ;",))
        parser.read(DEPLOY / "supervisor/supervisord.conf")
        for name in (section for section in parser.sections() if section.startswith("program:")):
            program = parser[name]
            variables = set(re.findall(r"(\w+)=", program.get("environment", "")))
            yield Unit(name, plain(program["command"]), variables, float(program["stopwaitsecs"]))
    else:
        for path in (DEPLOY / "systemd").glob("*.service"):
            yield from systemd_units(path)


def systemd_units(path: Path) -> Iterator[Unit]:
    """The unit, or the template's instance for each queue."""
    for queue in QUEUES if "@" in path.name else ("",):
        drop_in = DEPLOY / f"systemd/{path.stem}{queue}.service.d/pool.conf"
        text = path.read_text() + (drop_in.read_text() if drop_in.exists() else "")
        command = re.findall(r"^ExecStart=(.*)", text, re.M)[-1].replace("%i", queue)
        pool = re.findall(r'^Environment="POOL=(.*)"', text, re.M)
        command = command.replace("$POOL", pool[-1] if pool else "")
        variables = set(re.findall(r'^Environment="?(\w+)=', text, re.M))
        grace = re.findall(r"^TimeoutStopSec=(.*)", text, re.M) or ["90"]
        yield Unit(f"{path.stem}{queue}", plain(command), variables, float(grace[-1]))


def plain(command: str) -> list[str]:
    """The words of a command, its program without its folder."""
    program, *options = shlex.split(command.replace("%%", "%"))
    return [Path(program).name, *options]


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def dockerfile_command(instruction: str) -> list[str]:
    """The words of the last CMD or HEALTHCHECK CMD."""
    words = re.findall(rf"{instruction} (\[.*\])", (DEPLOY / "Dockerfile").read_text())
    return [str(word) for word in yaml.safe_load(words[-1])]
