"""What can go wrong with a real part: it cannot be had here, or it was there and failed."""

from tasks.oci.errors import ProgramFailedError as PartFailedError
from tasks.oci.errors import ProgramMissingError as PartUnavailableError

__all__ = ["PartFailedError", "PartUnavailableError"]
