"""Arguments, routes: the reference says what the code does."""

from __future__ import annotations

import re
from types import UnionType
from typing import get_args

import pytest
from pydantic import BaseModel

from app.main import create_app
from app.messages.kinds import CHUNKS, KINDS
from tests.house import ROOT, House

REFERENCE = ROOT / "docs/reference"
EVERYWHERE = {"currency", "locale", "timezone"}


def rows(page: str) -> list[list[str]]:
    """The page's table, without its head."""
    lines = [line for line in (REFERENCE / page).read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def fields(model: type[BaseModel], *, code: bool) -> str:
    """Its fields as the page writes them: in italics what may be left out."""
    said = []
    for name, field in model.model_fields.items():
        word = f"`{name}`" if code else name
        if name not in EVERYWHERE:
            said.append(word if field.is_required() else f"*{word}*")
    return ", ".join(said)


def data_of(model: type[BaseModel]) -> type[BaseModel] | None:
    """The model of its `…_data`."""
    kinds = [field.annotation for field in model.model_fields.values()]
    inner = [kind for kind in kinds if not isinstance(kind, UnionType) and not get_args(kind)]
    return next((kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


@pytest.mark.parametrize("name", [name for name in KINDS if name not in CHUNKS])
def test_the_arguments_of_a_kind_are_those_of_the_page(name: str) -> None:
    [row] = [row for row in rows("arguments.md") if row[0] == f"`{name}`"]
    payload = KINDS[name].payload
    data = data_of(payload)
    assert row[1:] == [fields(payload, code=True), fields(data, code=False) if data else ""]


def test_every_route_is_on_the_page_and_no_other(house: House) -> None:
    told = {re.findall(r"`(\w+) (\S+)`", row[0])[0] for row in rows("api.md")}
    there = {(verb.upper(), path) for path, verbs in create_app().openapi()["paths"].items() for verb in verbs}
    assert told == there
