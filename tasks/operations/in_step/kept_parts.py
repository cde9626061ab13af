"""Keeps manifests at the target whose tags are deleted, and for which the source has a use still.

An older zot lets a manifest go when its last tag is deleted, though an index may have it for a part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import DifferentAtTargetError, LayoutliftError, RegistryError

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
        """What may be sent again after a tag of this digest is deleted, None where nothing need be.

        Whether the source has a use for it is left to `keep`, as most targets let nothing go.

        Raises:
            LayoutliftError: the target doesn't say, or doesn't give what is needed, or the ledger can't be written.
        """
        try:
            manifest = self._given(repository, digest)
        except RegistryError as error:
            if error.transient or self._may_need(repository, digest):
                raise
            return None
        self._ledger.note_at_risk(repository, Descriptor(manifest.media_type, digest, len(manifest.raw)))
        return manifest

    def _given(self, repository: str, digest: Digest) -> RemoteManifest:
        manifest = self._target.fetch_manifest(repository, digest)
        if manifest is None or Digest.of(manifest.raw, digest.algorithm) != digest:
            raise DifferentAtTargetError(
                f"the target does not give {digest}, which could not be kept without the tag"
            )
        return manifest

    def take_back(self, repository: str, tag: str, digest: Digest) -> None:
        """Note as kept what a tag has still, since it could not be deleted.

        Raises:
            LayoutliftError: the target does not say, or the ledger can't be written.
        """
        if self._target.resolve_manifest(repository, tag) == digest:
            self._ledger.note_kept(repository, digest)

    def keep(self, repository: str, digest: Digest, manifest: RemoteManifest) -> LayoutliftError | None:
        """Have it there by its digest if it is needed, now that the tag is gone.

        Where the source does not say whether it is, it is sent again; why not is returned.

        Raises:
            LayoutliftError: the target does not say, or does not take it, or the ledger can't be written.
        """
        why_unknown = None
        if self._target.resolve_manifest(repository, digest) is None:
            is_needed, why_unknown = self._need(repository, digest)
            if is_needed:
                self._target.push_manifest(repository, digest, manifest)
        self._ledger.note_kept(repository, digest)
        return why_unknown

    def _need(self, repository: str, digest: Digest) -> tuple[bool, LayoutliftError | None]:
        try:
            return self._may_need(repository, digest), None
        except LayoutliftError as error:
            return True, error
