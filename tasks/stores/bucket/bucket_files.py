"""The files of a source in a bucket, looked at one by one: the reading half, which can change nothing."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from tasks.file_ports import OWN_FOLDER, RUNS, FileContent, StoredFile, UnfinishedUpload
from tasks.oci.errors import ContentNotFoundError
from tasks.oci.image_layout import MAX_INDEX_SIZE
from tasks.stores.bucket.listing_end import read_to_its_end
from tasks.stores.bucket.object_stream import ObjectReader
from tasks.stores.bucket.s3_address import NO_COMPONENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.stores.bucket.s3_address import BucketAddress
    from tasks.stores.bucket.s3_answers import ListedObject
    from tasks.stores.bucket.s3_bucket import S3Bucket


class BucketFiles:
    """A `FileReader` over all keys of a bucket below an address."""

    def __init__(self, bucket: S3Bucket, address: BucketAddress) -> None:
        """Take the bucket and the part of it that is the source; nothing is read yet."""
        self._reading = bucket
        self._address = address
        self._reader = ObjectReader(bucket)

    def list_files(self, folder: str) -> Iterator[StoredFile]:
        """See `FileReader.list_files`; a key with a slash at its end is how some tools mark a folder: no file."""
        list_after = partial(self._reading.list_objects, self._key(f"{folder}/"))
        for found in read_to_its_end(list_after, self._address) if _has_to_be_whole(folder) else list_after():
            if not found.key.endswith("/") and not _is_odd(self._path(found.key)):
                yield self._stored(found)

    def stat_file(self, path: str, *, waits: bool = True) -> StoredFile | None:
        """See `FileReader.stat_file`; a bucket is believed at once."""
        del waits
        key = self._key(path)
        for found in self._reading.list_objects(key):  # a listing, unlike HEAD, is what marks are compared with
            return self._stored(found) if found.key == key else None
        return None

    def read_file(self, path: str) -> FileContent | None:
        """See `FileReader.read_file`; the mark is the ETag."""
        try:
            raw, opened = self._reader.read(self._key(path), MAX_INDEX_SIZE)
        except ContentNotFoundError:
            return None
        return FileContent(raw, opened.etag.strip('"'))

    def link_target(self, path: str) -> str | None:
        """See `FileReader.link_target`; a bucket has none, and what a mount wrote as one is an object like others."""
        del path
        return None

    def list_uploads(self, folder: str) -> Iterator[UnfinishedUpload]:
        """See `FileReader.list_uploads`."""
        for key, upload, begun in self._reading.list_uploads(self._key(f"{folder}/")):
            if not _is_odd(path := self._path(key)):
                yield UnfinishedUpload(path, upload, begun)

    def now(self) -> float:
        """See `FileReader.now`."""
        return time.time()

    def _key(self, path: str) -> str:
        """The key of a path.

        Raises:
            OutsideSourceError: it is none that the source can have.
        """
        folder, _, name = path.rpartition("/")
        return self._address.key(folder or ".", name)

    def _path(self, key: str) -> str:
        return key.removeprefix(self._address.prefix)

    def _stored(self, found: ListedObject) -> StoredFile:
        return StoredFile(self._path(found.key), found.size, found.modified, found.etag)


def _has_to_be_whole(folder: str) -> bool:
    """Whether what a listing leaves out is taken for unneeded, as it is where others count on content, or settled.

    What it leaves out of a layout is only not touched.
    """
    return folder in {".", RUNS} or folder.rpartition("/")[0] == RUNS


def _is_odd(path: str) -> bool:
    """Whether something below our own folder has a name that nothing of ours has, and by which none can be asked for.

    Elsewhere such a key is content that is not understood, and has to be seen.
    """
    return path.startswith(f"{OWN_FOLDER}/") and not NO_COMPONENT.isdisjoint(path.split("/"))
