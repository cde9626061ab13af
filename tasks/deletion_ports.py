"""What is asked of a target that is to lose something: see `tasks.ports`."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Deletion(StrEnum):
    """What came of a wish to delete."""

    DELETED = "deleted"
    MISSING = "missing"
    UNSUPPORTED = "unsupported"


class ManifestRemover(Protocol):
    """Removes from a target."""

    def delete_manifest(self, repository: str, reference: str) -> Deletion:
        """Delete a tag alone, or by digest a manifest with all its tags, where the target does that."""
        ...
