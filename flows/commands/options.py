"""Makes a command's options of the parameter models that also make the dashboard's forms."""

from __future__ import annotations

import inspect
import types
import typing
from enum import Enum
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

ARGUMENTS = {
    "source": "SOURCE is a directory with layouts at any depth, such as a mounted bucket, or s3://bucket[/prefix].",
    "target": "TARGET is a registry, as host[:port][/prefix].",
    "location": "LOCATION is s3://bucket[/prefix] that holds nothing else, or local: SeaweedFS on this machine.",
}
"""What a command takes without an option's name, and what its help says of that."""
MOST_SHOWN = 50
"""Characters of choices that stand beside an option's name; more would not fit a terminal of 80 columns."""
_SHORT = {"output": ("-o",)}
_ENVIRONMENT = click.core.ParameterSource.ENVIRONMENT


def with_parameters(
    model: type[BaseModel], *, arguments_required: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the fields of `model`: SOURCE and TARGET as arguments, the rest as options.

    Every option is also read from the environment, as `LAYOUTLIFT_` and its name; each line is a value of its own
    where an option can be given several times.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        names = sorted(model.model_fields, key=lambda name: (name not in ARGUMENTS, name))
        for name in reversed(names):
            command = _parameter(name, model.model_fields[name], required=arguments_required)(command)
        told = " ".join(ARGUMENTS[name] for name in ARGUMENTS if name in names)
        if told:
            command.__doc__ = f"{inspect.cleandoc(command.__doc__ or '')}\n\n{told}"
        return command

    return decorate


class _Lines(click.types.StringParamType):
    """Text, of which a variable of the environment holds one in each line: paths and patterns may have blanks."""

    def split_envvar_value(self, rv: str) -> list[str]:
        return [line for line in rv.split("\n") if line]


def _parameter(name: str, field: FieldInfo, *, required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    if name in ARGUMENTS:
        return click.argument(name, required=required, shell_complete=_file_names)
    return click.option(
        *_SHORT.get(name, ()),
        f"--{name.replace('_', '-')}",
        name,
        cls=NamedOption,
        envvar=f"LAYOUTLIFT_{name.upper()}",
        show_envvar=False,
        help=_help(field),
        show_default=bool(field.default) and not isinstance(field.default, list | bool),
        required=field.is_required(),
        **_default(field),
        **({} if name in _WITH_UNIT else _kind(field)) | ({"metavar": _VALUES[name]} if name in _VALUES else {}),
    )


class NamedOption(click.Option):
    """An option that says, of a wrong value from the environment, which variable it came from."""

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Click's words for the option, with the variable where its value came from one."""
        hint = super().get_error_hint(ctx)
        variable = variable_of(str(self.name), ctx)
        return hint if variable is None else f"{hint} ({variable})"


def variable_of(field: str, context: click.Context | None = None) -> str | None:
    """The variable of the environment that an option's value came from, if it did, in the command that runs."""
    context = context or click.get_current_context(silent=True)
    from_variable = context is not None and context.get_parameter_source(field) is _ENVIRONMENT
    return f"LAYOUTLIFT_{field.upper()}" if from_variable else None


standalone_option = click.option(
    "--standalone",
    cls=NamedOption,
    is_flag=True,
    envvar="LAYOUTLIFT_STANDALONE",
    help="Run in this process alone, without a Prefect server",
)


class _Needed(click.types.StringParamType):
    """A text that a command can't do without: where it is missing, its description says how to come by it."""

    def __init__(self, description: str | None) -> None:
        self.description = description

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str | None:  # noqa: ARG002 - click's
        return self.description


def _help(field: FieldInfo) -> str | None:
    bare = _without_none(field.annotation)
    if typing.get_origin(bare) is list:
        return f"{field.description}; can be given several times"
    if _too_many(choices := _choices(bare)):
        return f"{field.description}; one of {', '.join(choices)}"
    return field.description


def _choices(bare: Any) -> list[str]:
    """The values of an enumeration, none of another type."""
    return [member.value for member in bare] if isinstance(bare, type) and issubclass(bare, Enum) else []


def _too_many(choices: list[str]) -> bool:
    return len("|".join(choices)) > MOST_SHOWN


def _file_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Have a shell complete names of files; click has it complete nothing where a type says nothing of it."""
    from click.shell_completion import CompletionItem as Item  # noqa: PLC0415 - only when a shell asks

    return [Item(incomplete, type="file")]


def _default(field: FieldInfo) -> dict[str, Any]:
    if isinstance(field.default, list | bool) or field.default is None or field.is_required():
        return {}
    return {"default": field.default.value if isinstance(field.default, Enum) else field.default}


def _kind(field: FieldInfo) -> dict[str, Any]:
    bare = _without_none(field.annotation)
    if bare is str and field.is_required():
        return {"type": _Needed(field.description), "metavar": _METAVARS[str], "shell_complete": _file_names}
    if bare is bool:
        return {"is_flag": True}
    if typing.get_origin(bare) is list:
        return {"multiple": True, "type": _Lines()}
    if choices := _choices(bare):
        return {"type": click.Choice(choices), "metavar": "KIND" if _too_many(choices) else None}
    return {"type": bare, "metavar": _METAVARS.get(bare), "shell_complete": _file_names if bare is str else None}


_METAVARS = {str: "TEXT", int: "N", float: "N"}
_VALUES = {
    **dict.fromkeys(
        ("ca_file", "metrics", "output", "paths_file", "policy", "report", "dat_file", "tags_from", "way_back"),
        "FILE",
    ),
    **dict.fromkeys(("include", "exclude"), "PATTERN"),
    **dict.fromkeys(("newer_than", "older_than"), "AGE"),
    **dict.fromkeys(("changed", "gate", "registry"), "TARGET"),
    **dict.fromkeys(("paths", "without"), "PATH"),
    **dict.fromkeys(("limits_from", "state"), "PLACE"),
    "backup_tag": "TAG",
    "content_part": "K/N",
    "dask_scheduler": "ADDRESS",
    "endpoint_url": "URL",
    "frozen_for": "TIME",
    "hours": "HOURS",
    "limit_rate": "RATE",
    "lock_timeout": "TIME",
    "max_bytes": "SIZE",
    "mount_option": "PATH=OPTION",
    "multis": "SIZExN",
    "old_reference": "REFERENCE",
    "out": "FOLDER",
    "path_bucket": "PATH=BUCKET",
    "path_mount": "PATH=FOLDER",
    "rename": "OLD=NEW",
    "shard_deployment": "NAME",
    "sizes": "SIZE",
    "source_name": "NAME",
}
"""What stands for an option's value in the help, where more can be said than TEXT."""
_WITH_UNIT = frozenset({"max_bytes"})
"""Numbers that are handed on as text: their fields read the unit behind them."""


def _without_none(annotation: Any) -> Any:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return next(kind for kind in typing.get_args(annotation) if kind is not type(None))
    return annotation
