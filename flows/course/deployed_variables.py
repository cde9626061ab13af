"""Variables of options that a worker has in its environment, and that its runs do not read."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from prefect.runtime import flow_run

from flows.course.deployed_paths import run_of_worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

logger = logging.getLogger(__name__)


def warn_of_variables(parameters: BaseModel, *, but: str | None = None) -> None:
    """Name those that are set in place of a parameter: a limit that is only there would silently be no limit.

    The parameter `but` is no option of a command.
    """
    run = run_of_worker()
    if run is None or run != flow_run.get_id():  # a mapping of a file may take what it wants of them
        return
    if names := [name for name in _unheeded(parameters) if name != but]:
        logger.warning(
            "%s: such variables are for commands, and do nothing for a worker's run; give it the parameters %s",
            ", ".join(map(_variable, names)),
            ", ".join(names),
        )


def _unheeded(parameters: BaseModel) -> Iterator[str]:
    for name, field in type(parameters).model_fields.items():
        is_given = getattr(parameters, name) != field.get_default(call_default_factory=True)
        if os.environ.get(_variable(name)) and not is_given:
            yield name


def _variable(name: str) -> str:
    return f"LAYOUTLIFT_{name.upper()}"
