"""The file that describes migrations: defaults, and mappings of a source to a target each."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from flows.files.empty_fields import LEFT_EMPTY
from flows.files.yaml_files import load_model
from flows.forms.parameter_fields import Source, Target
from flows.forms.parameters import MigrateParameters, RunParameters
from tasks.stores.directory.mounts import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Self

    from tasks.operations.choosing.newest import NewestBy

_Run = TypeVar("_Run", bound=RunParameters)
SCHEMA_ID = "layoutlift-migration-1"
WRITTEN_BY_RUN = ("report", "metrics")
"""Fields that name a file which a run replaces."""
_EITHER = frozenset({"since_last", "prove_again"})
"""Fields of which a run has one at most."""


class MigrationSettings(MigrateParameters):
    """What one mapping, or the defaults, say of a migration; every field may be left out here."""

    source: Source | None = None  # type: ignore[assignment] # whole only together with the defaults
    target: Target | None = None  # type: ignore[assignment]

    @field_validator("immutable_tags", "scan_on_push")
    @classmethod
    def _settings_have_a_use(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: ARG003, FBT001 - as in its base
        return value  # what it is a setting of may be said in the other part of the file

    @field_validator("order_by")
    @classmethod
    def _order_has_a_use(cls, value: NewestBy, info: ValidationInfo) -> NewestBy:  # noqa: ARG003 - as above
        return value


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
            _mistake("neither the mapping nor the defaults say it", "mappings", number, field)
            for number, mapping in enumerate(self.mappings)
            for field in ("source", "target")
            if getattr(mapping, field) is None and getattr(self.defaults, field) is None
        ]
        of_several = (self._files_written_twice, self._series_twice, self._names_of_several)
        together = (self._left_empty, self._mistakes_together, *of_several)
        if wrong := missing or [mistake for each in together for mistake in each()]:
            raise ValidationError.from_exception_data("MigrationFile", wrong)
        return self

    def _left_empty(self) -> Iterator[InitErrorDetails]:
        """Fields with no value; a mapping may leave one empty to want nothing of what the defaults say."""
        yield from (_mistake(LEFT_EMPTY, "defaults", field) for field in _empty(self.defaults))
        for number, mapping in enumerate(self.mappings):
            for field in _empty(mapping):
                if getattr(self.defaults, field) is None:
                    yield _mistake(LEFT_EMPTY, "mappings", number, field)

    def _mistakes_together(self) -> Iterator[InitErrorDetails]:
        """What is wrong only with a mapping and the defaults taken together."""
        for number, mapping in enumerate(self.mappings):
            try:
                MigrateParameters(**self._said_of(mapping))
            except ValidationError as error:
                yield from (_mistake(each["msg"], "mappings", number, *each["loc"]) for each in error.errors())

    def _files_written_twice(self) -> Iterator[InitErrorDetails]:
        """Runs follow each other, and each replaces what the one before has written."""
        written: set[str] = set()
        for number, said in enumerate(map(self._said_of, self.mappings)):
            files = {field: resolve(said[field])[0] for field in WRITTEN_BY_RUN if said.get(field)}
            for field in (field for field, file in files.items() if file in written):
                yield _mistake("an earlier mapping writes the same file", "mappings", number, field)
            if len(files) > len(set(files.values())):
                yield _mistake("the mapping's report is the same file", "mappings", number, WRITTEN_BY_RUN[-1])
            written.update(files.values())

    def _series_twice(self) -> Iterator[InitErrorDetails]:
        """Metrics of two mappings with the same labels: a collector drops one, or all."""
        seen: set[tuple[str, str, bool]] = set()
        for number, said in enumerate(map(self._said_of, self.mappings)):
            if not said.get("metrics"):
                continue
            labels = said["source"], said["target"], bool(said.get("since_last"))
            if labels in seen:
                wrong = "an earlier mapping of this source and target writes metrics with the same labels"
                yield _mistake(wrong, "mappings", number, "metrics")
            seen.add(labels)

    def _names_of_several(self) -> Iterator[InitErrorDetails]:
        """What one source brought to a target would count as that of another of the same name."""
        named: dict[tuple[str, str], str] = {}
        for number, said in enumerate(map(self._said_of, self.mappings)):
            if (name := said.get("source_name")) is not None:
                source = resolve(said["source"])[0]
                if named.setdefault((name, said["target"]), source) != source:
                    yield _mistake(
                        "an earlier mapping has this name for another source", "mappings", number, "source_name"
                    )

    def _said_of(self, mapping: MigrationSettings) -> dict[str, Any]:
        own = mapping.model_dump(exclude_unset=True)
        said = self.defaults.model_dump(exclude_unset=True) | own
        if said.get("newest") is None and "order_by" not in own:
            said.pop("order_by", None)  # the defaults have it for those mappings that say how many
        return said

    def runs(
        self, model: type[_Run], overrides: Mapping[str, Any] | None = None, *, writes: bool = True
    ) -> Iterator[_Run]:
        """The parameters of a run over each mapping, of what `model` takes; `overrides` win over what the file says.

        Of fields that do not go together, the one that the file says gives way to one that is among them.
        The files that it names to be written are those of its migrations; a run that is none `writes` none of them.

        Raises:
            ValidationError: the overrides don't fit.
        """
        given = dict(overrides or {})
        fields = fields_taken(model, writes=writes)
        fields -= _EITHER if any(given.get(name) for name in _EITHER) else set()
        for mapping in self.mappings:
            said = {name: value for name, value in self._said_of(mapping).items() if name in fields}
            yield model(**(said | given))


def fields_taken(model: type[RunParameters], *, writes: bool) -> set[str]:
    """The fields that a run of what `model` has takes of a mapping; see `MigrationFile.runs`."""
    fields = MigrationSettings.model_fields.keys() & model.model_fields.keys()
    return fields - model.NOT_OF_A_FILE - set(() if writes else WRITTEN_BY_RUN)


def _empty(settings: MigrationSettings) -> Iterator[str]:
    """The fields that are given and have no value."""
    said = settings.model_fields_set - {"source", "target"}  # of which the other part of the file may have one
    return (field for field in type(settings).model_fields if field in said and getattr(settings, field) is None)


def _mistake(said: str, *place: int | str) -> InitErrorDetails:
    kind = PydanticCustomError("unfit", "{said}", {"said": said})
    return InitErrorDetails(type=kind, loc=place, input=None)


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
