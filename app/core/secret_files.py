"""Settings out of files: NAME_FILE says where the value of NAME lies, as container platforms mount secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from app.core.errors import SettingsError


class SecretFiles(PydanticBaseSettingsSource):
    """A source for every setting. `environment` has names in small letters, as pydantic-settings keeps them."""

    def __init__(self, settings_cls: type[BaseSettings], environment: Mapping[str, str | None]) -> None:
        super().__init__(settings_cls)
        self._environment = environment

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """(what the file holds less its last line end, None for nothing; the field; False: it is no JSON).

        Raises SettingsError for a file that can't be read, and where NAME itself is set too.
        """
        name = field_name.upper()
        if not (path := self._environment.get(f"{field_name}_file")):
            return None, field_name, False
        if self._environment.get(field_name):
            raise SettingsError(f"{name} is set, and {name}_FILE too; set one of them")
        try:
            return Path(path).read_text(encoding="utf-8").removesuffix("\n") or None, field_name, False
        except (OSError, UnicodeError):
            raise SettingsError(f"{name}_FILE must be the path of a readable text file") from None

    def __call__(self) -> dict[str, Any]:
        """Every value found. Raises SettingsError naming all that is wrong with files."""
        found: dict[str, Any] = {}
        wrong: list[str] = []
        for field_name, field in self.settings_cls.model_fields.items():
            try:
                found[field_name], *_ = self.get_field_value(field, field_name)
            except SettingsError as error:
                wrong.append(f"  {error}")
        if wrong:
            raise SettingsError("\n".join(["Settings to mend:", *wrong]))
        return {name: value for name, value in found.items() if value is not None}
