"""Gives flows the fields of a model for parameters."""

from __future__ import annotations

import inspect
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from flows.forms.field_order import form_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

_Flow = TypeVar("_Flow", bound="Callable[..., Any]")


def takes(model: type[BaseModel]) -> Callable[[_Flow], _Flow]:
    """Have a function that takes anything by name be a flow with the fields of `model`.

    Prefect makes its form of a function's signature, and of what the docstring says of each parameter.
    """
    kinds = get_type_hints(model, include_extras=True)
    fields = {name: model.model_fields[name] for name in form_order(model.model_fields)}
    lines = [f"    {name}: {field.description}" for name, field in fields.items()]
    parameters = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.is_required() else field.default,
            annotation=kinds[name],
        )
        for name, field in fields.items()
    ]

    def give(function: _Flow) -> _Flow:
        function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Args:", *lines])
        function.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # what inspect looks for
        return function

    return give
