"""Keeps manifests at the target whose tags are deleted, and for which the source has a use still.

An older zot lets a manifest go when its last tag is deleted, though an index may have it for a part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import DifferentAtTargetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.ledger.ledger import Ledger
    from tasks.ports import RemoteManifest, Target


class KeptParts:
    """Sends again what went with a tag; `may_need` says of a repository and a digest whether there is a use for it.

    What may go is `at_risk` in the ledger until it is known to be there: a run that is killed, or can't send it,
    leaves that to the next one which migrates a layout that has it.
    """

    def __init__(self, target: Target, ledger: Ledger, may_need: Callable[[str, Digest], bool]) -> None:
        self._target = target
        self._ledger = ledger
        self._may_need = may_need

    def put_at_risk(self, repository: str, digest: Digest) -> RemoteManifest | None:
        """What is to be kept when a tag of this digest goes next, None where nothing is.

        Raises:
            LayoutliftError: one of the two sides does not say, or the ledger can't be written.
        """
        if not self._may_need(repository, digest):
            return None
        manifest = self._target.fetch_manifest(repository, digest)
        if manifest is None or Digest.of(manifest.raw, digest.algorithm) != digest:
            raise DifferentAtTargetError(
                f"the target does not give {digest}, which could not be kept without the tag"
            )
        self._ledger.note_at_risk(repository, Descriptor(manifest.media_type, digest, len(manifest.raw)))
        return manifest

    def keep(self, repository: str, digest: Digest, manifest: RemoteManifest) -> None:
        """Have it there by its digest, now that the tag is gone.

        Raises:
            LayoutliftError: the target does not say, or does not take it, or the ledger can't be written.
        """
        if self._target.resolve_manifest(repository, digest) is None:
            self._target.push_manifest(repository, digest, manifest)
        self._ledger.note_kept(repository, digest)
