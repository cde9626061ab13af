"""Says which of Prefect's settings is wrong, where Prefect can't even be imported with it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def wrong_settings_told() -> Iterator[None]:
    """Make an error of ours, in one line, of what an import of Prefect raises about its settings.

    The value is not shown: it may be a secret.

    Raises:
        ConfigurationError: a variable PREFECT_… or a profile holds what Prefect does not take.
    """
    try:
        yield
    except ValidationError as error:
        if not error.title.endswith("Settings"):
            raise
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"Prefect does not take {field} of its {error.title}: {first['msg']}; correct the variable PREFECT_… "
            "or the profile that has it"
        ) from error
