"""Each format's own checker on deploy/, and what runs of it without a container: probes, rotation, contents."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deployment import DEPLOY, compose, manifests, pods
from tests.house import ROOT
from tests.programs import program

BIN = Path(sys.executable).parent
#: Tenths, from 0 (shut) to 100 (wide open), of `systemd-analyze security`: what the units have now.
MOST_EXPOSED = 13


def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, **options)


def test_hadolint_finds_nothing() -> None:
    done = run(program("hadolint"), "--failure-threshold", "style", str(DEPLOY / "Dockerfile"))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    analyze = program("systemd-analyze", "systemd")
    shutil.copytree(DEPLOY / "systemd", tmp_path, dirs_exist_ok=True)
    for path in tmp_path.glob("*.service"):  # it looks whether the programs are there
        path.write_text(path.read_text().replace("/opt/pafar/.venv/bin", str(BIN)))
    names = sorted(path.name for path in tmp_path.glob("*.service") if path.is_file())
    names += ["pafar-worker@email.service", "pafar-worker@cleanup.service"]
    instances = [f"./{name}" for name in names if "@." not in name]
    done = run(analyze, "verify", "--man=no", *instances, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for name in names:
        done = run(
            analyze,
            "security",
            "--offline=true",
            f"--threshold={MOST_EXPOSED}",
            f"./{name}",
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout[-300:]


def test_kubernetes_takes_the_manifests() -> None:
    for name, thing in manifests().items():
        if thing["kind"] != "ScaledObject":  # KEDA's own; its schema is not among them
            assert kubernetes_validate.validate(thing, kubernetes_validate.latest_version(), strict=True), name


def test_kustomize_names_every_manifest() -> None:
    listed = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())["resources"]
    there = [path.name for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml"]
    assert sorted(listed) == sorted(there)


def test_nothing_runs_as_root_or_writes_where_it_should_not() -> None:
    assert re.findall(r"^USER (.*)", (DEPLOY / "Dockerfile").read_text(), re.M) == ["10001:10001"]
    for name, pod in pods().items():
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["automountServiceAccountToken"] is False, name
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert "memory" in container["resources"]["limits"], name
    for name, service in compose().items():
        if "build" in service:
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_the_broker_keeps_what_it_is_given() -> None:
    options = " ".join(compose()["valkey"]["command"])
    assert "--maxmemory-policy noeviction" in options
    assert "--appendonly yes" in options


def probes() -> dict[str, tuple[str, str]]:
    """The shell command and the folder of each probe by a file's age, by who has it."""
    found = {
        name: service["healthcheck"]["test"][-1]
        for name, service in compose().items()
        if "HEARTBEAT_FILE" in service.get("environment", {})
    }
    found["beat"] = compose()["beat"]["healthcheck"]["test"][-1]
    commands = {name: command.replace("$$", "$") for name, command in found.items()}
    for name, pod in pods().items():
        for probe in ("startupProbe", "livenessProbe"):
            if "exec" in pod["containers"][0].get(probe, {}):
                commands[f"{name} {probe}"] = pod["containers"][0][probe]["exec"]["command"][-1]
    return {name: (command, re.findall(r"find (/\S+)", command)[0]) for name, command in commands.items()}


@pytest.mark.parametrize("who", probes())
def test_a_probe_tells_a_fresh_file_from_an_old_one_and_none(tmp_path: Path, who: str) -> None:
    command, place = probes()[who]
    file = tmp_path / ("heartbeat" if "heartbeat" in place else "beat-schedule.db")
    command = command.replace(place, str(file if "heartbeat" in place else tmp_path))
    assert run("sh", "-c", command).returncode != 0
    file.touch()
    assert run("sh", "-c", command).returncode == 0
    an_hour_ago = time.time() - 3600
    os.utime(file, (an_hour_ago, an_hour_ago))
    assert run("sh", "-c", command).returncode != 0


def test_a_worker_is_asked_for_the_file_that_it_touches() -> None:
    for name, service in compose().items():
        if "HEARTBEAT_FILE" in service.get("environment", {}):
            assert service["environment"]["HEARTBEAT_FILE"] in service["healthcheck"]["test"][-1], name
    for name, pod in pods().items():
        for variable in pod["containers"][0].get("env", []):
            assert variable["value"] in pod["containers"][0]["livenessProbe"]["exec"]["command"][-1], name


def image(folder: Path) -> None:
    """What the Dockerfile copies, as far as .dockerignore lets it through."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    dropped = [line.removeprefix("**/") for line in ignored if line.startswith("**/")]
    for line in re.findall(r"^COPY (?!--from)(.*)", (DEPLOY / "Dockerfile").read_text(), re.M):
        *sources, _ = line.split()
        for source in sources:
            assert source in let_through
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns(*dropped))
            else:
                shutil.copy(ROOT / source, folder)


#: Run with the names of what is installed here but not in the image: it can't be imported then.
LOOK = """
import sys
from importlib.abc import MetaPathFinder
class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in sys.argv[1:]:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import app, app.main, app.cli, app.worker.scheduler, celery.apps.beat, celery.backends.redis, kombu.transport.redis
from app.core import celery_app, migrations
from app.messages.render import TEMPLATES
celery_app.celery_app.loader.import_default_modules()
assert any(TEMPLATES.rglob('*.html'))
print(app.__file__, migrations.SCRIPTS, migrations.newest())
"""


def absent() -> set[str]:
    """Top-level modules of installed packages that requirements.txt does not have."""
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.M)
    there = {re.sub("[-_.]+", "-", pin).lower() for pin in pins} | {"pafar-tasks"}
    return {
        module
        for module, packages in packages_distributions().items()
        if there.isdisjoint(re.sub("[-_.]+", "-", package).lower() for package in packages)
    }


def test_the_image_has_all_that_its_processes_need_and_no_more(tmp_path: Path) -> None:
    image(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if fnmatch(path.name, "*.pyc") or path.name == ".env"]
    done = run(sys.executable, "-c", LOOK, *absent(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    code, scripts, newest = done.stdout.split()
    assert {Path(code).parents[1], Path(scripts).parent} == {tmp_path}
    assert newest != "None"


def test_logrotate_rotates_and_supervisor_is_told(tmp_path: Path) -> None:
    logrotate = program("logrotate")
    account = pwd.getpwuid(os.geteuid()).pw_name
    text = (DEPLOY / "logrotate/pafar").read_text().replace("pafar pafar", f"{account} {account}")
    (tmp_path / "conf").write_text(
        text.replace("/var/log/pafar", str(tmp_path)).replace("/run/pafar", str(tmp_path))
    )
    (tmp_path / "conf").chmod(0o644)
    (tmp_path / "api.log").write_text("a line\n")
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.sigwait([signal.SIGUSR2])"]) as supervisor:
        time.sleep(1)
        (tmp_path / "supervisord.pid").write_text(str(supervisor.pid))
        done = run(logrotate, "--force", "--state", str(tmp_path / "state"), str(tmp_path / "conf"))
        assert (done.returncode, done.stderr) == (0, "")
        assert supervisor.wait(60) in {0, -12}
    assert (tmp_path / "api.log.1").read_text() == "a line\n"
    assert (tmp_path / "api.log").read_text() == ""
