"""A tree of image layouts in an S3 bucket, read without a mount.

All layouts are found by one listing of the keys, a request for a thousand, and one for what comes after them. Of it
only folders are kept, with the ETag and size of each `oci-layout`: objects of one bucket that agree in both have one
content, so a marker is read once for all layouts that have the same, and not at all when its ETag is that of what
ORAS and skopeo write.
A layout then costs one request, for its `index.json`. Sizes of blobs come from a listing of the layout's blobs
when the first is asked for.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci import image_layout
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ConfigurationError,
    ContentNotFoundError,
    InvalidLayoutError,
    SizeMismatchError,
    SourceError,
    SourceUnavailableError,
)
from tasks.ports import IndexFile
from tasks.stores.bucket.blob_table import BlobTable, BlobTables
from tasks.stores.bucket.bucket_files import BucketFiles
from tasks.stores.bucket.bucket_search import KeySearch
from tasks.stores.bucket.listing_end import read_to_its_end
from tasks.stores.bucket.object_stream import ObjectReader
from tasks.stores.bucket.old_contents import OldContents
from tasks.stores.bucket.s3_errors import DeniedError, GarbledError, NoCredentialsError, UnreachableError
from tasks.stores.sibling_blobs import SiblingBlobs
from tasks.stores.verified_content import VerifiedContent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.oci.descriptor import Descriptor
    from tasks.ports import BlobStat, Finding
    from tasks.stores.bucket.bucket_search import Stamp
    from tasks.stores.bucket.s3_address import BucketAddress
    from tasks.stores.bucket.s3_bucket import OpenObject
    from tasks.stores.bucket.s3_versions import VersionedS3Bucket
    from tasks.stores.verified_content import ByteStream

USUAL_MARKERS = (b'{"imageLayoutVersion":"1.0.0"}', b'{"imageLayoutVersion": "1.0.0"}')


class LayoutBucket:
    """A `Source` over all keys of a bucket below an address."""

    def __init__(self, bucket: VersionedS3Bucket, address: BucketAddress) -> None:
        """Take the bucket and the part of it that is the source; nothing is read yet."""
        self._bucket = bucket
        self._address = address
        self._reader = ObjectReader(bucket)
        self._old = OldContents(bucket, address)
        self._tables = BlobTables(self._list_blobs)
        self._siblings = SiblingBlobs(self.list_layouts, self._size_of, self._sizes)
        self._markers: dict[str, Stamp] = {}
        self._good_markers = set(map(_stamp_of, USUAL_MARKERS))

    def list_layouts(self) -> Iterator[str | Finding]:
        """See `Source.list_layouts`.

        Raises:
            ConfigurationError: the bucket does not let us list it, or has nothing below the prefix.
        """
        search = KeySearch(self._address.prefix)
        try:
            for found in read_to_its_end(partial(self._bucket.list_objects, self._address.prefix), self._address):
                search.add(found.key, (found.etag, found.size))
        except (SourceError, ContentNotFoundError) as error:
            kind = SourceUnavailableError if _may_pass(error) else ConfigurationError
            raise kind(f"the source {self._address} can't be listed: {self._reason(error)}") from error
        if search.is_empty and self._address.prefix:
            raise ConfigurationError(f"there is nothing below {self._address}")
        self._markers = search.markers()
        return search.layouts()

    def _reason(self, error: Exception) -> str:
        if isinstance(error, NoCredentialsError):
            return f"{error}; --no-sign-request reads a bucket that is open to everybody"
        if isinstance(error, DeniedError) and self._bucket.is_anonymous:
            return (
                f"{error.denied} to whoever sends no credentials, as --no-sign-request has it; many buckets let "
                "everybody read what is named, and list nothing"
            )
        return str(error)

    def read_index(self, path: str) -> IndexFile:
        """See `LayoutReader.read_index`; the mark is the ETag, with the version where the bucket keeps versions.

        One that is empty is read once more, as somebody may be writing it.
        A store that gives no ETag, as some gateways don't, has its content for a mark.
        """
        self._check_marker(path)
        raw, opened = self._read_small(path, image_layout.INDEX, image_layout.MAX_INDEX_SIZE)
        if not raw:  # oras empties the file before it writes it anew, and s3fs does the same to the object
            self._bucket.wait_for_writer()
            raw, opened = self._read_small(path, image_layout.INDEX, image_layout.MAX_INDEX_SIZE)
        return IndexFile(raw, _mark(opened) or Digest.of(raw))

    def blob(self, path: str, descriptor: Descriptor) -> VerifiedContent:
        """See `LayoutReader.blob`."""
        return VerifiedContent(descriptor, partial(self._open_blob, path, descriptor))

    def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
        """See `LayoutReader.stat_blob`; a blob that the listing lacks is looked for once more."""
        key = self._address.key(path, image_layout.blob_path(digest))
        found = self._tables.find(path, digest) or self._stat(key)
        if found is None or not image_layout.is_placeholder(found.size, digest):
            return found
        sibling = self._siblings.find(digest, None)
        return found if sibling is None else self._bucket.stat(self._key_of(sibling))

    def open_files(self) -> BucketFiles:
        """All files of the source, to be looked at and not to be changed."""
        return BucketFiles(self._bucket, self._address)

    def old_indexes(self, path: str, since: float) -> Iterator[bytes]:
        """See `PlanTools.old_indexes`."""
        return self._old.of(path, image_layout.INDEX, since)

    @contextmanager
    def _open_blob(self, path: str, descriptor: Descriptor) -> Iterator[ByteStream]:
        key = self._address.key(path, image_layout.blob_path(descriptor.digest))
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(self._reader.open(key, descriptor.size))
            except SizeMismatchError as error:
                sibling = self._sibling_of(key, descriptor, error)
                stream = stack.enter_context(self._reader.open(sibling, descriptor.size))
            except DeniedError as error:
                if self._is_absent(key, error):
                    raise ContentNotFoundError(f"{self._bucket.name_of(key)} does not exist") from error
                raise
            yield stream

    def _sibling_of(self, key: str, descriptor: Descriptor, error: SizeMismatchError) -> str:
        """The key of the same blob in another layout, where a deduplicating zot left this one empty."""
        found = self._bucket.stat(key)
        if found is None or not image_layout.is_placeholder(found.size, descriptor.digest):
            raise error
        return self._key_of(self._siblings.require(self._bucket.name_of(key), descriptor))

    def _size_of(self, relative: str) -> int | None:
        found = self._bucket.stat(self._key_of(relative))
        return None if found is None else found.size

    def _key_of(self, relative: str) -> str:
        """The key of a file by its path below the source."""
        path, _, name = relative.rpartition("/")
        return self._address.key(path.removeprefix("./"), name)

    def _check_marker(self, path: str) -> None:
        if self._markers.get(path) in self._good_markers:
            return
        raw, opened = self._read_small(path, image_layout.MARKER, image_layout.MAX_MARKER_SIZE)
        image_layout.check_marker(raw)
        if etag := opened.etag.strip('"'):
            self._good_markers.add((etag, opened.size))

    def _read_small(self, path: str, name: str, limit: int) -> tuple[bytes, OpenObject]:
        key = self._address.key(path, name)
        try:
            return self._reader.read(key, limit)
        except (ContentNotFoundError, DeniedError) as error:
            if not self._is_absent(key, error):
                raise
            raise image_layout.missing(name) from error
        except SizeMismatchError as error:
            raise InvalidLayoutError(str(error)) from error

    def _stat(self, key: str) -> BlobStat | None:
        try:
            return self._bucket.stat(key)
        except DeniedError as error:
            if not self._is_absent(key, error):
                raise
            return None

    def _is_absent(self, key: str, error: ContentNotFoundError | DeniedError) -> bool:
        """Amazon denies what is absent to whoever may list no more than what is below a prefix."""
        if isinstance(error, ContentNotFoundError):
            return True
        try:
            return all(each.key != key for each in self._bucket.list_objects(key))
        except SourceError as unlisted:
            if unlisted.transient or isinstance(unlisted, SourceUnavailableError):
                raise
            return False  # where that can't be told, either, the denial is what there is to say

    def _list_blobs(self, path: str) -> BlobTable:
        return BlobTable(self._blobs(path))

    def _sizes(self, path: str) -> Iterator[tuple[Digest, int]]:
        return ((digest, size) for digest, size, *_ in self._blobs(path))

    def _blobs(self, path: str) -> Iterator[tuple[Digest, int, float, bool]]:
        prefix = self._address.key(path, f"{image_layout.BLOBS}/")
        for found in self._bucket.list_objects(prefix):
            algorithm, _, encoded = found.key[len(prefix) :].partition("/")
            digest = Digest.or_none(f"{algorithm}:{encoded}")
            if digest is not None:  # what else lies there is nobody's blob
                yield digest, found.size, found.modified, found.archived


def _may_pass(error: Exception) -> bool:
    is_passing = isinstance(error, SourceError) and error.transient and not isinstance(error, GarbledError)
    return is_passing or isinstance(error, UnreachableError)


def _stamp_of(content: bytes) -> Stamp:
    """What S3 lists for an object of this content, unless it is encrypted or was sent in parts."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest(), len(content)


def _mark(opened: OpenObject) -> str:
    etag = opened.etag.strip('"')
    return etag if opened.version is None else f"{etag}@{opened.version}"
