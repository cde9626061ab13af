"""What manifests refer to by themselves, be it a tag or an attestation beside its image: lists have to have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.oci.manifest import Manifest


class Subjects:
    """Knows the subjects of those manifests that it was told of; shared by all workers on a repository."""

    def __init__(self) -> None:
        self._known: dict[Digest, tuple[Digest, Descriptor]] = {}

    def note(self, manifest: Manifest) -> None:
        """Keep what a manifest refers to, if it does."""
        if manifest.subject is not None:
            self._known[manifest.descriptor.digest] = (manifest.subject.digest, manifest.as_referrer())

    def referring(self, digests: Iterable[Digest], but: Digest | None = None) -> Mapping[Digest, list[Descriptor]]:
        """Those of some manifests that refer to something, by their subjects, of which `but` is left out."""
        found: dict[Digest, list[Descriptor]] = {}
        for subject, referrer in [self._known[digest] for digest in digests if digest in self._known]:
            if subject != but:
                found.setdefault(subject, []).append(referrer)
        return found

    def as_told(self, referrer: Descriptor, subject: Digest) -> Descriptor:
        """A referrer of a subject as its own manifest tells of it, or as it is given where that is not known."""
        own_subject, own = self._known.get(referrer.digest, (None, referrer))
        return own if own_subject == subject else referrer
