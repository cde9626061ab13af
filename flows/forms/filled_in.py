"""What a flow makes of the fields that somebody filled in."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from flows.files.mistakes import in_one_line
from tasks.oci.errors import ConfigurationError

_Model = TypeVar("_Model", bound=BaseModel)


def filled_in(model: type[_Model], given: dict[str, Any]) -> _Model:
    """A flow's parameters as their model; Prefect has looked at each by itself before.

    Raises:
        ConfigurationError: they don't fit together; no value is in the message, as one may be a secret.
    """
    try:
        return model(**given)
    except ValidationError as error:
        raise ConfigurationError(in_one_line(error, "the parameters")) from None
