"""How a task's arguments become a payload: checked whole before anything is written or sent, and dumped again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator
from pydantic_core import ErrorDetails

from app.messages.base import InvalidPayload, Kind
from app.messages.fields import Currency, Defaults, LocaleName, Timezone, zone_shown

__all__ = ["Defaults", "Details", "Payload", "details", "dump", "validate"]


class Payload(BaseModel):
    """A task's parameters. Unknown keys are ignored; the repr shows nothing, as every value is personal."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return ()


class Details(Payload):
    """A task's `…_data`. Times are UTC; `timezone` says how to show them."""

    currency: Currency
    locale: LocaleName
    timezone: Timezone  # before every time: a time without a zone is read in it

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: object, info: ValidationInfo) -> object:
        """Fill in the defaults, so that what is dumped stands on its own."""
        if not isinstance(data, Mapping):
            return data
        given = {key: data[key] for key in cls.model_fields if data.get(key) is not None}
        defaults = cast(Defaults, info.context)
        if "timezone" not in given:
            given["timezone"] = zone_shown(given.values(), defaults.timezone)
        return {"currency": defaults.currency, "locale": defaults.locale, **given}


def validate(kind: Kind, arguments: Mapping[str, Any], defaults: Defaults) -> BaseModel:
    """The task's arguments, by parameter name, as the kind's payload.

    Raises InvalidPayload naming every bad field, what is wrong with it and what is allowed.
    """
    try:
        return kind.payload.model_validate(dict(arguments), context=defaults)
    except ValidationError as error:
        problems = "; ".join(map(_problem, error.errors(include_input=False, include_url=False)))
    # Raised out here, so that no traceback drags along pydantic's error, which holds the values.
    raise InvalidPayload(problems)


def dump(payload: BaseModel) -> dict[str, Any]:
    """The payload as JSON-safe arguments: `validate` gives the same payload back, whatever the defaults."""
    return payload.model_dump(mode="json", exclude_none=True)


def details(payload: BaseModel) -> Details | None:
    """The payload's `…_data`; None for a payload that has none (a one-time code)."""
    return next((value for value in vars(payload).values() if isinstance(value, Details)), None)


def _problem(error: ErrorDetails) -> str:
    field = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return f"{field}: is missing, but required"
    if error["type"] == "model_type":
        return f"{field}: must be a mapping of names to values"
    return f"{field}: {error['msg'].removeprefix('Value error, ')}"
