"""The list of what is wanted, from the place that a user names."""

from __future__ import annotations

from tasks.oci.errors import ConfigurationError
from tasks.operations.choosing.exact_list import ExactList
from tasks.stores.given_files import STANDARD_INPUT, read_listed_text


def read_exact_list(place: str | None) -> ExactList | None:
    """The list in a file, or on standard input (`-`); None where there is no place.

    Raises:
        ConfigurationError: it can't be read, lists nothing, or has lines that are no references.
    """
    if place is None:
        return None
    name = "standard input" if place == STANDARD_INPUT else place
    try:
        return ExactList.parse(read_listed_text(place).split("\n"), name)
    except ConfigurationError as error:
        raise ConfigurationError(f"--tags-from: {error}") from error
