"""What other writers note on the entries of an index: names of images beside the tag, and cosign's signatures.

`docker save` and containerd keep many images in one layout, told apart by names of their own; `cosign save` gives
signatures neither a tag nor a subject, only a kind (its pkg/oci/layout). hauler, which grew out of that, gives them
the very name of their image besides (its pkg/store).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.oci.digest import Digest
from tasks.oci.reference import IMAGE_NAME, REF_NAME, is_referrers_tag, referrers_tag
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tasks.oci.descriptor import Descriptor

_KIND = "kind"
_COSIGNS_KINDS = "dev.cosignproject.cosign/"
_WRITERS = {"dev.cosignproject.cosign": "cosign", "dev.hauler": "hauler"}
_SUFFIXES = {"sigs": ".sig", "atts": ".att", "sboms": ".sbom"}
_REFERRERS = "referrers"
"""Of these the manifest names the subject, and they need no tag."""
_NO_ORAS = " (oras tag would take the image's own tag away: copy it there instead)"
_SHOWN = 3
_MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class _Attached:
    """What `writer` attached to an image, or to the platform `of` it, and how cosign's tag of such a thing ends."""

    writer: str
    suffix: str | None
    of: Digest | None

    @classmethod
    def read(cls, entry: Descriptor) -> _Attached | None:
        """What the kind of an entry says; None of an image, and of what is not known."""
        writer, _, kind = entry.annotations.get(_KIND, "").partition("/")
        what, _, of = kind.partition("/")
        if writer not in _WRITERS or what not in {_REFERRERS, *_SUFFIXES}:
            return None
        return cls(_WRITERS[writer], _SUFFIXES.get(what), Digest.or_none(f"sha256:{of}"))


@dataclass(slots=True)
class WritersNotes:
    """What is noted on the entries of one index; only what the findings and messages need is kept."""

    _first: dict[str, str] = field(default_factory=dict)
    _images: dict[str, None] = field(default_factory=dict)
    _signatures: dict[Digest, str] = field(default_factory=dict)
    _attached: dict[str, dict[Digest, _Attached]] = field(default_factory=dict)
    _unfound: dict[Digest, tuple[str, str]] = field(default_factory=dict)
    """What is attached to an image and gets no tag, with who saved it, and the tag that it needs."""

    def note_tagged(self, tag: str, entry: Descriptor) -> None:
        """Keep what an entry is called besides its tag."""
        name = _image_name(tag, entry.annotations)
        if name is not None:
            self._images.setdefault(name.partition("@")[0].removesuffix(f":{tag}"))
            self._first.setdefault(tag, shown(tag, entry))
        if (attached := _Attached.read(entry)) is not None:
            self._attached.setdefault(tag, {})[entry.digest] = attached

    def note_untagged(self, entry: Descriptor) -> None:
        """Keep which entries are cosign's."""
        if (suffix := _cosigns_suffix(entry)) is not None:
            self._signatures[entry.digest] = suffix

    def first(self, tag: str, digest: Digest) -> str:
        """How the first entry of a tag is shown."""
        return self._first.get(tag, digest)

    def note_image(self, tag: str, contents: Collection[Descriptor]) -> Descriptor | None:
        """The one of several contents of a tag to which all others are attached, None where there is no such.

        Keeps which tags those others need.
        """
        attached = self._attached.get(tag, {})
        images = [each for each in contents if each.digest not in attached]
        if len(images) != 1:
            return None
        for digest, each in attached.items():
            if each.suffix is not None:
                needed = f"{referrers_tag(each.of or images[0].digest)}{each.suffix}"
                self._unfound[digest] = (each.writer, needed)
        return images[0]

    def tags_of_attached(self, tags: Mapping[str, Descriptor]) -> list[tuple[str, str]]:
        """The tags whose only content is attached to an image, but for those that cosign looks for; with the writer.

        So ORAS leaves a store that it writes to: of several entries with one name it keeps that of the last alone.
        """
        only = {tag: tags[tag].digest for tag in self._attached if tag in tags and not is_referrers_tag(tag)}
        found = {tag: self._attached[tag].get(digest) for tag, digest in only.items()}
        return [(tag, attached.writer) for tag, attached in found.items() if attached is not None]

    def findings(self, path: str, tagged: Collection[Digest], untagged: Collection[Digest]) -> Iterator[Finding]:
        """What a layout holds that nobody would miss or wonder at before it is too late."""
        if len(self._images) > 1:
            names = first_of(self._images)
            message = f"it holds {len(self._images)} images ({names}), and the tags of all go to one repository"
            yield Finding(path, Remark.SEVERAL_IMAGES, message)
        named = set(tagged) if self._signatures or self._unfound else set()
        for digest, (writer, tag) in {**self._saved(named, untagged), **self._unfound}.items():
            if digest not in named:
                lacks = "does not have the tag under which cosign looks for it"
                message = f"{digest}, which {writer} saved, {lacks}: {tag}"
                message += _NO_ORAS if digest in self._unfound else ""
                yield Finding(path, Remark.SIGNATURE_WITHOUT_TAG, message)

    def _saved(self, named: Collection[Digest], untagged: Collection[Digest]) -> Mapping[Digest, tuple[str, str]]:
        """As `_unfound`, of what `cosign save` wrote, which says nothing of the image."""
        images = {*named, *untagged} - self._signatures.keys() if self._signatures else set()
        of = referrers_tag(min(images)) if len(images) == 1 else "sha256-<hex of its image>"
        return {digest: ("cosign", f"{of}{suffix}") for digest, suffix in self._signatures.items()}


def attached_by(entry: Descriptor) -> str | None:
    """The writer that attached what an entry names to an image; None of an image, and of what is not known."""
    attached = _Attached.read(entry)
    return None if attached is None else attached.writer


def saved_image(entry: Descriptor) -> str | None:
    """The whole name of an image that one of these writers saved, empty where it has none; None of all else."""
    is_saved = entry.annotations.get(_KIND, "").partition("/")[0] in _WRITERS and _Attached.read(entry) is None
    return entry.annotations.get(IMAGE_NAME, "") if is_saved else None


def said_of_attached(tag: str, attached: Digest, writer: str) -> str:
    """That what is attached to an image has its tag; see `WritersNotes.tags_of_attached`."""
    lost = "which has lost the tag to it, or is gone"
    return f"{attached} has the tag {tag}, and is no image: {writer} attached it to one, {lost}"


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
