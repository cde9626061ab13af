"""What other writers note on the entries of an index: names of images beside the tag, and cosign's signatures.

`docker save` and containerd keep many images in one layout, told apart by names of their own; `cosign save` gives
signatures neither a tag nor a subject, only a kind (its pkg/oci/layout).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.oci.reference import IMAGE_NAME, REF_NAME, referrers_tag
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest

_KIND = "kind"
_COSIGNS_KINDS = "dev.cosignproject.cosign/"
_SUFFIXES = {"sigs": ".sig", "atts": ".att", "sboms": ".sbom"}
_SHOWN = 3
_MOST_CHARACTERS = 200


@dataclass(slots=True)
class WritersNotes:
    """What is noted on the entries of one index; only what the findings and messages need is kept."""

    _first: dict[str, str] = field(default_factory=dict)
    _images: dict[str, None] = field(default_factory=dict)
    _signatures: dict[Digest, str] = field(default_factory=dict)

    def note_tagged(self, tag: str, entry: Descriptor) -> None:
        """Keep what an entry is called besides its tag."""
        name = _image_name(tag, entry.annotations)
        if name is not None:
            self._images.setdefault(name.partition("@")[0].removesuffix(f":{tag}"))
            self._first.setdefault(tag, shown(tag, entry))

    def note_untagged(self, entry: Descriptor) -> None:
        """Keep which entries are cosign's."""
        if (suffix := _cosigns_suffix(entry)) is not None:
            self._signatures[entry.digest] = suffix

    def first(self, tag: str, digest: Digest) -> str:
        """How the first entry of a tag is shown."""
        return self._first.get(tag, digest)

    def findings(self, path: str, tagged: Collection[Digest], untagged: Collection[Digest]) -> Iterator[Finding]:
        """What a layout holds that nobody would miss or wonder at before it is too late."""
        if len(self._images) > 1:
            names = first_of(self._images)
            message = f"it holds {len(self._images)} images ({names}), and the tags of all go to one repository"
            yield Finding(path, Remark.SEVERAL_IMAGES, message)
        named = set(tagged) if self._signatures else set()
        left = [digest for digest in self._signatures if digest not in named]
        images = {*named, *untagged} - self._signatures.keys() if left else set()
        for digest in left:
            suffix = self._signatures[digest]
            of = f"{referrers_tag(min(images))}{suffix}" if len(images) == 1 else f"sha256-<hex of its image>{suffix}"
            message = f"{digest}, which cosign saved, does not have the tag under which cosign looks for it: {of}"
            yield Finding(path, Remark.SIGNATURE_WITHOUT_TAG, message)


def saved_signatures(entries: Collection[Descriptor]) -> Mapping[Digest, Digest]:
    """The image of each signature without a tag in what `cosign save` wrote: the only one that is there besides."""
    signatures = {e.digest for e in entries if REF_NAME not in e.annotations and _cosigns_suffix(e) is not None}
    images = {entry.digest for entry in entries} - signatures if signatures else set()
    return dict.fromkeys(signatures, images.pop()) if len(images) == 1 else {}


def _cosigns_suffix(entry: Descriptor) -> str | None:
    """The end of the tag that cosign would give an entry, None for what is no signature of its own."""
    kind = entry.annotations.get(_KIND, "")
    return _SUFFIXES.get(kind.removeprefix(_COSIGNS_KINDS)) if kind.startswith(_COSIGNS_KINDS) else None


def first_of(names: Collection[str]) -> str:
    """The first of names that may be very many, for a message."""
    return ", ".join(list(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def shown(tag: str, entry: Descriptor) -> str:
    """An entry's digest, with what tells it from others that have the same tag."""
    named = (_image_name(tag, entry.annotations), entry.annotations.get(_KIND))
    notes = ", ".join(each[:_MOST_CHARACTERS] for each in named if each)
    return f"{entry.digest} ({notes})" if notes else entry.digest


def _image_name(tag: str, annotations: Mapping[str, str]) -> str | None:
    """The whole name that an entry has besides its tag."""
    ref_name = annotations.get(REF_NAME)
    name = annotations.get(IMAGE_NAME) or (ref_name if ref_name != tag else None)
    return name[:_MOST_CHARACTERS] if name else None
