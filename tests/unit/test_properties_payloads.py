"""Whatever a task is called with: a payload, or a refusal that names the bad fields and repeats no value."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from app.messages.base import InvalidPayload, Kind
from app.messages.kinds import CHUNKS, KINDS
from app.messages.payloads import dump, validate
from tests.unit.samples import DATA, DEFAULTS, arguments

#: What callers may send.
CALLED = [kind for kind in KINDS.values() if kind.name not in CHUNKS]
#: Stands in every text that is given, so that a repeated value shows.
MARK = "s3cr3t"

texts = st.text(max_size=20).map(lambda text: MARK + text) | st.sampled_from(
    [MARK * 60, f"{MARK}\n", f"+234{MARK}"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts | st.sampled_from([*DATA]), inner, max_size=4)
    ),
    max_leaves=8,
)


def fields(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Every field's path: "user_name", "booking_data", "booking_data.seats"."""
    found = set()
    for name, field in model.model_fields.items():
        found.add(prefix + name)
        inner = [t for t in (field.annotation, *get_args(field.annotation)) if isinstance(t, type)]
        found |= {path for t in inner if issubclass(t, BaseModel) for path in fields(t, f"{prefix}{name}.")}
    return found


def named(kind: Kind, error: InvalidPayload) -> set[str]:
    """The fields that a refusal names, which shows nothing else."""
    assert MARK not in str(error)
    assert error.__cause__ is error.__context__ is None  # they would carry the values
    paths = set(re.findall(r"(?:^|; )([\w.]+): ", str(error)))
    assert paths
    assert paths <= fields(kind.payload)
    return paths


def check(kind: Kind, given_arguments: Any) -> set[str]:
    """The bad fields that are named, none if all is well."""
    try:
        payload = validate(kind, given_arguments, DEFAULTS)
    except InvalidPayload as error:
        return named(kind, error)
    stored = json.loads(json.dumps(dump(payload)))
    assert kind.chunks or validate(kind, stored, DEFAULTS) == payload  # a campaign's tokens lie in its chunks
    assert kind.validity(payload).at_least >= timedelta(0)
    assert 0 <= kind.priority_of(payload) <= 9
    assert kind.subject is None or MARK not in kind.subject(payload).partition(":")[0]
    return set()


@pytest.mark.parametrize("kind", CALLED, ids=lambda kind: kind.name)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_mapping_is_taken_or_refused_by_name(kind: Kind, data: st.DataObject) -> None:
    names = st.sampled_from([*kind.payload.model_fields]) | texts
    check(kind, data.draw(st.dictionaries(names, anything, max_size=6)))


@pytest.mark.parametrize("kind", CALLED, ids=lambda kind: kind.name)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_one_odd_field_among_good_ones_is_taken_or_is_the_one_named(kind: Kind, data: st.DataObject) -> None:
    good = arguments(kind)
    path = data.draw(st.sampled_from(sorted(fields(kind.payload))))
    outer, _, inner = path.partition(".")
    odd = data.draw(anything)
    good |= {outer: good[outer] | {inner: odd}} if inner else {outer: odd}
    assert {name.partition(".")[0] for name in check(kind, good)} <= {outer}


@pytest.mark.parametrize("kind", CALLED, ids=lambda kind: kind.name)
def test_good_arguments_are_good(kind: Kind) -> None:
    assert check(kind, arguments(kind)) == set()
    assert check(kind, {}) == {name for name, field in kind.payload.model_fields.items() if field.is_required()}
