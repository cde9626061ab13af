"""The file that describes migrations: defaults, and mappings of a source to a target each."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from flows.parameter_fields import Source, Target
from flows.parameters import MigrateParameters
from flows.yaml_files import load_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Self

SCHEMA_ID = "layoutlift-migration-1"


class MigrationSettings(MigrateParameters):
    """What one mapping, or the defaults, say of a migration; every field may be left out here."""

    source: Source | None = None  # type: ignore[assignment] # whole only together with the defaults
    target: Target | None = None  # type: ignore[assignment]


class MigrationFile(BaseModel):
    """Several migrations: each mapping takes from the defaults what it does not say itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = Field(description="The form of this file")
    defaults: MigrationSettings = Field(
        default=MigrationSettings(), description="What holds where a mapping does not say otherwise"
    )
    mappings: list[MigrationSettings] = Field(min_length=1, description="What goes where; one runs after the other")

    @model_validator(mode="after")
    def _mappings_are_whole(self) -> Self:
        missing = [
            InitErrorDetails(
                type=PydanticCustomError("unsaid", "neither the mapping nor the defaults say it"),
                loc=("mappings", number, field),
                input=None,
            )
            for number, mapping in enumerate(self.mappings)
            for field in ("source", "target")
            if getattr(mapping, field) is None and getattr(self.defaults, field) is None
        ]
        if missing:
            raise ValidationError.from_exception_data("MigrationFile", missing)
        return self

    def migrations(self, overrides: Mapping[str, Any] | None = None) -> Iterator[MigrateParameters]:
        """The parameters of each mapping's run; `overrides` win over what the file says.

        Raises:
            ValidationError: the overrides don't fit.
        """
        defaults = self.defaults.model_dump(exclude_unset=True)
        for mapping in self.mappings:
            yield MigrateParameters(**(defaults | mapping.model_dump(exclude_unset=True) | dict(overrides or {})))


def load_migrations(path: Path) -> MigrationFile:
    """Read a migration file, with the values of the environment where it names variables.

    Raises:
        ConfigurationError: it can't be read or used; each mistake with its line and field.
    """
    return load_model(path, MigrationFile, os.environ)


def json_schema() -> str:
    """The form of the file as a JSON schema, for editors and other programs."""
    schema = MigrationFile.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID} | schema
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
