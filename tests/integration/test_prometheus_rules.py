"""The rules for Prometheus: right by its own tool, about metrics that there are, and the same as ours."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.monitoring.alerts.rules import RULES
from tests.house import House
from tests.operators import new_key
from tests.programs import program
from tests.web import ask

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/prometheus"
TEXT = (FOLDER / "rules.yml").read_text(encoding="utf-8")
#: Alerts that only Prometheus can raise: that the house is silent, and rates over hours.
ITS_OWN = {"metrics_away", "objective_burns_fast", "objective_burns"}
#: What a histogram's and a counter's samples add to its name.
SUFFIXES = r"_(bucket|count|sum|total)$"


def severities() -> dict[str, str]:
    """Each alert's, by its name."""
    found = re.findall(r"- alert: (\w+)\n(?:(?!- alert).*\n)*?\s+labels: \{severity: (\w+)\}", TEXT)
    return dict(found)


@pytest.mark.parametrize("command", [["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]])
def test_promtool_has_nothing_to_say_against_them(command: list[str]) -> None:
    promtool = program("promtool", "prometheus")
    done = subprocess.run([promtool, *command], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_they_are_our_rules() -> None:
    ours = {rule.name: rule.severity for rule in RULES.values()}
    theirs = severities()
    assert {name: theirs[name] for name in ours} == ours
    assert set(theirs) - set(ours) == ITS_OWN


def test_each_has_its_test_and_its_help() -> None:
    tests = (FOLDER / "rules_test.yml").read_text(encoding="utf-8")
    for name in severities():
        assert re.search(rf"alertname: {name}\n\s+exp_alerts:", tests), name
    helped = re.findall(
        r"^\| `(\w+)` \| (\w+) \|", (ROOT / "docs/howto/alerts.md").read_text(encoding="utf-8"), re.M
    )
    assert dict(helped) == {rule.name: rule.severity for rule in RULES.values()}


def test_every_metric_they_name_is_in_metrics(house: House) -> None:
    named = {re.sub(SUFFIXES, "", name) for name in re.findall(r"\bpafar_\w+", TEXT)}
    with house.api() as url:
        metrics = ask(f"{url}/metrics", Authorization=f"Bearer {new_key()}").text
    there = {family.name for family in text_string_to_metric_families(metrics)}
    assert named <= there, sorted(named - there)
