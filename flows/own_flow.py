"""What makes a function a flow, as Prefect's `flow` does, without what a command would wait for in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from prefect import Flow
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


class OwnFlow(Flow[P, R]):
    """A flow whose parameters pydantic turns into JSON, as it does when it checks them."""

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters as the server keeps them.

        Prefect has FastAPI do this, whose import takes a tenth of a second of processor and is needed for
        nothing else. What pydantic can't turn into JSON, such as the future of a task that a flow of somebody's own
        hands over, is Prefect's to name.
        """
        try:
            plain: dict[str, Any] = to_jsonable_python(parameters)
        except ValueError:
            return super().serialize_parameters(parameters)
        return plain


def flow(**options: Any) -> Callable[[Callable[P, R]], OwnFlow[P, R]]:
    """Make a function a flow; the options are those of Prefect's `Flow`."""

    def made(function: Callable[P, R]) -> OwnFlow[P, R]:
        return OwnFlow(function, **options)

    return made
