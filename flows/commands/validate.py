"""The command `layoutlift validate`: says of a file, before it is used, where its mistakes are."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.headings import HeadedCommand
from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file: the field that no other kind has, and the module that has `load` and `json_schema`.

    `load(path)` returns the file's content, or raises ConfigurationError with a line for each mistake.
    """

    name: str
    mark: str
    module: str
    load: str

    def function(self, name: str) -> Callable[..., Any]:
        """A function of the module, which is imported only now."""
        function: Callable[..., Any] = getattr(importlib.import_module(self.module), name)
        return function


KINDS = (
    FileKind("migration", "mappings", "flows.files.migration_file", "load_migrations"),
    FileKind("policy", "policies", "flows.files.policy_file", "load_policy"),
)


@click.command(cls=HeadedCommand, short_help="Name each mistake in a migration file or policy")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--kind", type=click.Choice([kind.name for kind in KINDS]), help="What the file is, else it is told by its fields"
)
@click.option("--schema", is_flag=True, help="Print the kind's JSON schema instead, for editors")
def validate(file: Path | None, kind: str | None, *, schema: bool) -> None:
    """Check FILE, a migration or policy, and name the line and field of each mistake."""
    if schema:
        click.echo(_kind(kind or KINDS[0].name).function("json_schema")(), nl=False)
        return
    if file is None:
        raise click.UsageError("Missing argument 'FILE'.")
    chosen = _kind(kind) if kind else _kind_of(file)
    chosen.function(chosen.load)(file)
    click.echo(f"{file}: a {chosen.name} without mistakes")


def _kind(name: str) -> FileKind:
    return next(kind for kind in KINDS if kind.name == name)


def _kind_of(file: Path) -> FileKind:
    """The kind whose own field the file has; else the first, whose errors then say what is missing.

    Raises:
        ConfigurationError: it is one of alerts, which name variables that are there only where they are applied.
    """
    from flows.files.yaml_files import top_fields  # noqa: PLC0415 - not for --help

    fields = top_fields(file)
    if "alerts" in fields and fields.isdisjoint(kind.mark for kind in KINDS):
        raise ConfigurationError(f"{file} is a file of alerts, which `layoutlift alerts apply` checks and uses")
    return next((kind for kind in KINDS if kind.mark in fields), KINDS[0])
