"""Makes a command's options of the parameter models that also make the dashboard's forms."""

from __future__ import annotations

import types
import typing
from enum import Enum
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

ARGUMENTS = ("source", "target", "location")
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
        return command

    return decorate


class _Lines(click.types.StringParamType):
    """Text, of which a variable of the environment holds one in each line: paths and patterns may have blanks."""

    def split_envvar_value(self, rv: str) -> list[str]:
        return [line for line in rv.split("\n") if line]


def _parameter(name: str, field: FieldInfo, *, required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    if name in ARGUMENTS:
        return click.argument(name, required=required)
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
        **_kind(field),
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


class _Needed(click.types.StringParamType):
    """A text that a command can't do without: where it is missing, its description says how to come by it."""

    def __init__(self, description: str | None) -> None:
        self.description = description

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str | None:  # noqa: ARG002 - click's
        return self.description


def _help(field: FieldInfo) -> str | None:
    is_list = typing.get_origin(_without_none(field.annotation)) is list
    return f"{field.description}; can be given several times" if is_list else field.description


def _default(field: FieldInfo) -> dict[str, Any]:
    if isinstance(field.default, list | bool) or field.default is None or field.is_required():
        return {}
    return {"default": field.default.value if isinstance(field.default, Enum) else field.default}


def _kind(field: FieldInfo) -> dict[str, Any]:
    bare = _without_none(field.annotation)
    if bare is str and field.is_required():
        return {"type": _Needed(field.description), "metavar": _METAVARS[str]}
    if bare is bool:
        return {"is_flag": True}
    if typing.get_origin(bare) is list:
        return {"multiple": True, "type": _Lines()}
    if isinstance(bare, type) and issubclass(bare, Enum):
        return {"type": click.Choice([member.value for member in bare])}
    return {"type": bare, "metavar": _METAVARS.get(bare)}


_METAVARS = {str: "TEXT", int: "N", float: "N"}


def _without_none(annotation: Any) -> Any:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return next(kind for kind in typing.get_args(annotation) if kind is not type(None))
    return annotation


def said_on_command_line(context: click.Context) -> set[str]:
    """The options that somebody typed, unlike those from the environment or by default."""
    typed = click.core.ParameterSource.COMMANDLINE
    return {name for name in context.params if context.get_parameter_source(name) is typed}
