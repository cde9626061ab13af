"""What people see where a file of ours on this machine can't be read or written."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasks.oci.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FAILED = "can't be written or read"


def state_error(what: object, error: OSError, failed: str = _FAILED) -> StateError:
    """The one line that says that `what` failed at what."""
    return StateError(f"{what} {failed}: {error.strerror or error}")


@contextmanager
def as_state_error(what: object, failed: str = _FAILED) -> Iterator[None]:
    """Raise an OSError of the block as `state_error`."""
    try:
        yield
    except OSError as error:
        raise state_error(what, error, failed) from error
