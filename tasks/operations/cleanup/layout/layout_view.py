"""One layout as a cleanup sees it: every entry of its index and every file below `blobs/`, or none at all.

Files are listed before the index is read: a blob that was stored later is not in the list and so is never
touched, and one that was named in between counts as named.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.file_ports import below
from tasks.oci.codes import Remark
from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidDigestError, InvalidReferenceError, NotJudgedError
from tasks.oci.image_layout import (
    BLOBS,
    INDEX,
    INGEST,
    MARKER,
    REFERRER_SUBJECT,
    BrokenEntry,
    decode_index,
    is_placeholder,
    iter_index,
)
from tasks.oci.reference import (
    IMAGE_NAME,
    REF_NAME,
    is_referrers_tag,
    referrers_tag,
    referrers_tag_of,
    repository_of_annotations,
    repository_of_reference,
    tag_of_annotations,
)
from tasks.operations.choosing.noted_times import CREATED
from tasks.operations.source.writers_notes import (
    attached_by,
    first_of,
    said_of_attached,
    saved_image,
    saved_signatures,
)
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tasks.file_ports import FileReader, StoredFile, UnfinishedUpload
    from tasks.oci.descriptor import Descriptor
    from tasks.ports import LayoutReader

_BLOB_BEGUN = re.compile(r"(?:[0-9a-f]{64}|[0-9a-f]{128})_[0-9]+")
"""How oras names a blob while it writes it: the encoded digest, and a number that nobody else has."""
_BEGUN_IN_PLACE = re.compile(r"(?:sha256/[0-9a-f]{64}|sha512/[0-9a-f]{128})[0-9]{1,10}")
"""How go-containerregistry does, which crane, ko and kaniko are made of, below `blobs`: longer than any digest."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of `index.json`: `ref_name` as it stands there, `tag` what it means, None where it means none.

    `refers_to` is the subject of a referrer that names it by its tag or annotation, not by its manifest.
    `is_ambiguous` says that another entry gives the same tag, with the same name before it or none, another digest.
    `repository` is what its references name, None where that is the layout's own or there is none: some writers
    keep many images in one layout.
    """

    ref_name: str | None
    tag: str | None
    descriptor: Descriptor
    refers_to: Digest | None = None
    is_ambiguous: bool = False
    repository: str | None = None

    @property
    def digest(self) -> Digest:
        """The digest of the manifest that it names."""
        return self.descriptor.digest

    @property
    def created(self) -> str | None:
        """When its writer says that it was made."""
        return self.descriptor.annotations.get(CREATED)

    @property
    def label(self) -> str:
        """What it is called in reasons."""
        return self.ref_name if self.ref_name is not None else self.digest


@dataclass(frozen=True, slots=True)
class LayoutView:
    """A layout at one moment; `etag` marks the index that was read.

    `begun` are files that writers began, in `ingest` or beside the blobs.
    """

    path: str
    etag: str
    entries: tuple[Entry, ...]
    blobs: Mapping[Digest, StoredFile]
    begun: tuple[StoredFile, ...]
    uploads: tuple[UnfinishedUpload, ...]


def view_layout(source: LayoutReader, files: FileReader, path: str) -> LayoutView:
    """List and read one layout.

    Raises:
        InvalidLayoutError: its index can't be understood.
        NotJudgedError: something else can't, so that nothing may be judged.
        SourceError: something can't be listed or read.
    """
    blobs, beside = _blobs(files.list_files(below(path, BLOBS)), below(path, BLOBS))
    ingest = list(files.list_files(below(path, INGEST)))
    begun = (*blobs_begun(ingest, below(path, INGEST)), *beside)
    uploads = tuple(uploads_begun(files, path, ingest))
    index = source.read_index(path)
    if (target := files.link_target(below(path, INDEX))) is not None:
        raise NotJudgedError(f"{INDEX} is a link to {target}; nothing is cleaned up through links")
    found = [_readable(each) for each in iter_index(decode_index(index.raw))]
    shortened = _shortened((*blobs, *(descriptor.digest for descriptor in found)))
    saved = saved_signatures(found)
    entries = _marked_ambiguous([_entry(path, each, shortened, saved.get(each.digest)) for each in found])
    return LayoutView(path, index.etag, entries, blobs, begun, uploads)


def _blobs(listed: Iterable[StoredFile], folder: str) -> tuple[dict[Digest, StoredFile], list[StoredFile]]:
    """The blobs, and what writers have only begun beside them."""
    blobs: dict[Digest, StoredFile] = {}
    begun: list[StoredFile] = []
    for file in listed:
        name = file.path.removeprefix(f"{folder}/")
        if not name or file.path.endswith("/"):
            continue  # the object by which some mounts mark a directory
        if file.etag and _BEGUN_IN_PLACE.fullmatch(name):
            begun.append(file)
        else:
            blobs[_digest_of_blob(name, file)] = file
    return blobs, begun


def _digest_of_blob(name: str, file: StoredFile) -> Digest:
    try:
        digest = Digest(name.replace("/", ":", 1))
    except InvalidDigestError:
        raise NotJudgedError(f"{name!r} below {BLOBS}/ is no blob; what it is for is not known") from None
    if not file.etag:
        raise NotJudgedError(f"the blob {digest} is no regular file")
    if is_placeholder(file.size, digest):
        raise NotJudgedError(
            f"the blob {digest} is empty, as zot's deduplication leaves blobs that other repositories hold"
        )
    return digest


def blobs_begun(listed: Iterable[StoredFile], folder: str) -> tuple[StoredFile, ...]:
    """What oras began to write. A repository may be called `ingest` as well, or lie below: then it is its own."""
    found = list(listed)
    if _has_repository(found):
        return ()
    return tuple(file for file in found if file.etag and _is_begun(file.path, folder))


def uploads_begun(files: FileReader, path: str, ingest: Iterable[StoredFile]) -> Iterator[UnfinishedUpload]:
    """Uploads to a layout that are not finished: of blobs, and of what lies in `ingest`, where mounts send it first.

    Raises:
        SourceError: they can't be listed.
    """
    blobs, folder = below(path, BLOBS), below(path, INGEST)
    is_own = not _has_repository(ingest)
    for upload in files.list_uploads(path):
        if upload.path.startswith(f"{blobs}/") or (is_own and _is_begun(upload.path, folder)):
            yield upload


def _has_repository(files: Iterable[StoredFile]) -> bool:
    return any(file.path.rpartition("/")[2] in {INDEX, MARKER} for file in files)


def _is_begun(path: str, ingest: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder == ingest and _BLOB_BEGUN.fullmatch(name) is not None


def _readable(found: Descriptor | BrokenEntry) -> Descriptor:
    if isinstance(found, BrokenEntry):
        raise NotJudgedError(found.message)
    return found


def _shortened(digests: Iterable[Digest]) -> Mapping[str, Digest]:
    """The tags of referrers that hold only the beginning of a digest, as those of sha512 do, each with its digest."""
    return {referrers_tag(digest): digest for digest in digests if digest.algorithm == "sha512"}


def _entry(path: str, found: Descriptor, shortened: Mapping[str, Digest], signed: Digest | None) -> Entry:
    ref_name = found.annotations.get(REF_NAME)
    tag = None if ref_name is None else _tag(found.annotations)
    subjects = (shortened.get(tag or ""), _refers_to(found, tag), signed)
    refers_to = next((each for each in subjects if each not in {None, found.digest}), None)
    repository = repository_of_annotations(found.annotations)
    return Entry(ref_name, tag, found, refers_to, repository=None if repository == path else repository)


def _tag(annotations: Mapping[str, str]) -> str | None:
    try:
        return tag_of_annotations(annotations)
    except InvalidReferenceError:
        return None


def _refers_to(found: Descriptor, tag: str | None) -> Digest | None:
    named = referrers_tag_of(tag or "", found.digest)
    if named is not None:
        return named.subject
    for name in REFERRER_SUBJECT:
        if name in found.annotations:
            try:
                return Digest(found.annotations[name])
            except InvalidDigestError as error:
                raise NotJudgedError(f"annotation {name}: {error}") from error
    return None


def _marked_ambiguous(entries: list[Entry]) -> tuple[Entry, ...]:
    """Mark tags of two digests; of images whose names stand before their tags, each has tags of its own."""
    names = [_named(entry) for entry in entries]
    contents = {(name, entry.digest) for name, entry in zip(names, entries, strict=True) if name is not None}
    counts = Counter(name for name, _ in contents)
    return tuple(
        replace(entry, is_ambiguous=True) if name is not None and counts[name] > 1 else entry
        for name, entry in zip(names, entries, strict=True)
    )


def _named(entry: Entry) -> tuple[str | None, str] | None:
    """What a tag belongs to, where a name stands before it, and the tag; None for an entry that has none."""
    if entry.tag is None or entry.ref_name is None:
        return None
    is_before = repository_of_reference(entry.ref_name) and _tag({REF_NAME: entry.ref_name}) is not None
    return entry.repository if is_before else None, entry.tag


def tags_of_attached(view: LayoutView) -> Iterator[tuple[Entry, str]]:
    """The entries of what is attached to an image and has its tag alone, each with the words for that.

    Not where an image has the tag back without the name before it, as `oras tag` gives it: what is attached then
    keeps the whole name. As long as one of that whole name has no tag, it is another image that has it.
    """
    attached = {_named(entry): (entry, writer) for entry in view.entries if (writer := _attached_by(entry))}
    if not attached:
        return
    images = {_named(entry) for entry in view.entries if attached_by(entry.descriptor) is None}
    lost = {name: found for name, found in attached.items() if name is not None and name not in images}
    counts = Counter(tag for _, tag in lost)
    nameless = {saved_image(entry.descriptor) for entry in view.entries if entry.ref_name is None} - {None}
    for (_, tag), (entry, writer) in lost.items():
        is_back = (None, tag) in images and counts[tag] == 1
        if not is_back or entry.descriptor.annotations.get(IMAGE_NAME, "") in nameless:
            yield entry, said_of_attached(tag, entry.digest, writer)


def _attached_by(entry: Entry) -> str | None:
    """Who attached an entry to an image; None also where it has a tag that is its own."""
    is_own = entry.tag is None or is_referrers_tag(entry.tag)
    return None if is_own else attached_by(entry.descriptor)


def several_images(view: LayoutView) -> Iterator[Finding]:
    """That rules count the tags of each image by itself, where a layout holds many."""
    names = sorted({e.repository or view.path for e in view.entries if e.tag and not e.refers_to})
    if len(names) > 1:
        message = f"it holds {len(names)} images ({first_of(names)}); rules count the tags of each by itself"
        yield Finding(view.path, Remark.SEVERAL_IMAGES, message)
