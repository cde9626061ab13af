"""Keeps manifests at the target whose tags are moved.

A zot lets a manifest go with its last tag, though indexes may have it for a part, or users its digest.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from tasks.oci.descriptor import Descriptor
from tasks.oci.errors import LayoutliftError
from tasks.oci.manifest import MAX_MANIFEST_SIZE, own_type
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.operations.source.manifest_reading import BROKEN_AT_SOURCE
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.oci.digest import Digest
    from tasks.operations.copying.copy_graph import RepositoryCopy
    from tasks.operations.copying.copy_tools import CopyTools
    from tasks.operations.copying.noted_tags import NotedTags


class KeptManifests:
    """Sends again what the layout has still, and the target not any more; shared by all workers on it.

    What may go is `at_risk` in the ledger until it is known to be there: after a run that was killed, or could not
    send it, the tags are as they are to be, and nobody would look. That is known as soon as no worker is about to
    move a tag of it: what is there before may be by that tag.
    """

    def __init__(self, tools: CopyTools, copier: RepositoryCopy, noted: NotedTags) -> None:
        self._tools = tools
        self._path = noted.layout
        self._repository = noted.repository
        self._copier = copier
        self._noted = noted
        self._lock = threading.Lock()
        self._begun: Counter[Digest] = Counter()
        self._moved: Counter[Digest] = Counter()

    def put_at_risk(self, replaced: Iterable[Digest]) -> list[Descriptor]:
        """Note which of these manifests of the target, whose tags are moved next, the layout has.

        Raises:
            LayoutliftError: one of the two does not say, or the ledger can't be written.
        """
        at_risk: list[Descriptor] = []
        for digest in replaced:
            manifest = self._described(digest)
            if manifest is not None:
                at_risk.append(manifest)
                self._begin(manifest)
        return at_risk

    def _begin(self, manifest: Descriptor) -> None:
        with self._lock:
            self._begun[manifest.digest] += 1
            self._noted.note_at_risk(manifest)

    def _described(self, digest: Digest) -> Descriptor | None:
        """What a manifest is that the layout has; the target is asked where that does not tell, by what is a pull."""
        stat = self._tools.source.stat_blob(self._path, digest)
        if stat is None:
            return None
        found = self._described_by_layout(digest, stat.size)
        if found is None and (there := self._tools.target.fetch_manifest(self._repository, digest)) is not None:
            found = Descriptor(there.media_type, digest, len(there.raw))
        return found

    def _described_by_layout(self, digest: Digest, size: int) -> Descriptor | None:
        if size > MAX_MANIFEST_SIZE:
            return None
        try:
            raw = self._tools.source.blob(self._path, Descriptor(IMAGE_MANIFEST, digest, size)).read()
            named = own_type(raw)
        except BROKEN_AT_SOURCE:
            return None
        return None if named is None else Descriptor(named, digest, size)

    def keep(self, at_risk: Iterable[Descriptor]) -> None:
        """Have these manifests there by their digests, now that their tags are moved.

        The tags are as they are to be, whatever comes of it: what can't be sent now is left to `settle`.
        """
        for manifest in at_risk:
            with suppress(LayoutliftError):
                self._keep(manifest)

    def _keep(self, manifest: Descriptor) -> None:
        with self._lock:
            self._moved[manifest.digest] += 1
            begun, moved = self._begun[manifest.digest], self._moved[manifest.digest]
        self._copier.send_missing(manifest)
        with self._lock:
            if moved == begun == self._begun[manifest.digest]:
                self._noted.note_kept(manifest.digest)

    def settle(self) -> list[Finding]:
        """Keep what this run or an earlier one could not, after the last unit; a finding for each that can't be."""
        findings = self._tools.hands.map(self._settled, self._noted.at_risk())
        return [finding for finding in findings if finding is not None]

    def _settled(self, manifest: Descriptor) -> Finding | None:
        try:
            if self._has(manifest.digest):
                self._copier.send_missing(manifest)
                self._noted.note_kept(manifest.digest)
        except LayoutliftError as error:
            message = f"{manifest.digest} lost its tag at the target, and may be gone from it: {error}"
            return Finding(self._path, error.code, message)
        return None

    def _has(self, digest: Digest) -> bool:
        return self._tools.source.stat_blob(self._path, digest) is not None
