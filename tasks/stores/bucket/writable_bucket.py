"""The files of a source in a bucket, and ways to change them: the writing half.

Where the bucket keeps versions, what is hidden stays in place under a deletion marker, and coming back is the
removal of that marker. Elsewhere it is copied to the quarantine's prefix by the store itself, then deleted.
"""

from __future__ import annotations

import logging
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from tasks.file_ports import DRAFTS, OWN_FOLDER, StoredFile
from tasks.oci.errors import (
    ContentNotFoundError,
    MaybeWrittenError,
    SourceChangedError,
    SourceError,
    SourceUnavailableError,
    SourceWriteError,
)
from tasks.stores.bucket.bucket_files import BucketFiles
from tasks.stores.bucket.conditional_writes import NEW, honours_conditions, honours_deletions
from tasks.stores.bucket.layout_bucket import LayoutBucket
from tasks.stores.store_clock import StoreClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tasks.file_ports import UnfinishedUpload
    from tasks.oci.errors import LayoutliftError
    from tasks.stores.bucket.s3_address import BucketAddress
    from tasks.stores.bucket.s3_versions import ObjectVersion
    from tasks.stores.bucket.s3_writing import WritableS3Bucket

_CLOCK = f"{OWN_FOLDER}/clock"
WORTH_A_LISTING = 20
"""From so many files of one folder on it is listed, rather than asked for each."""

logger = logging.getLogger(__name__)


class BucketWriter(BucketFiles):
    """A `FileWriter` over all keys of a bucket below an address."""

    def __init__(self, bucket: WritableS3Bucket, address: BucketAddress) -> None:
        """Take the bucket and the part of it that is the source; nothing is read or changed yet."""
        super().__init__(bucket, address)
        self._bucket = bucket
        self._clock = StoreClock(self._dated_now)

    @cached_property
    def is_conditional(self) -> bool:
        """See `FileWriter.is_conditional`; tried once, by some twenty small requests."""
        return honours_conditions(self._bucket, self._key(f"{DRAFTS}/"))

    @cached_property
    def _deletes_on_condition(self) -> bool:
        """Whether the store compares what it is to delete, so that nobody comes in between; tried once."""
        return honours_deletions(self._bucket, self._key(f"{DRAFTS}/"))

    @cached_property
    def keeps_versions(self) -> bool:
        """See `FileWriter.keeps_versions`."""
        return self._bucket.keeps_versions()

    def now(self) -> float:
        """See `FileReader.now`: the store's clock."""
        return self._clock.now()

    def _dated_now(self) -> float:
        self._bucket.put(self._key(_CLOCK), b"now")
        found = self.stat_file(_CLOCK)
        if found is None:
            raise SourceWriteError(f"{_CLOCK} was written and is not there")
        return found.modified

    def write_file(self, path: str, raw: bytes, expected: str | None) -> str:
        """See `FileWriter.write_file`."""
        condition = NEW if expected is None else {"IfMatch": f'"{expected}"'}
        try:
            described = self._description(path, expected)
            if self.is_conditional:
                return self._bucket.put(self._key(path), raw, condition, described)
        except (SourceChangedError, ContentNotFoundError) as error:
            return self._mark_if_written(path, raw, error)
        self._check_mark(path, expected)
        self._bucket.put(self._key(path), raw, None, described)
        return self._mark_if_written(path, raw)

    def hide_files(self, files: Sequence[StoredFile], trash: str | None) -> tuple[StoredFile, ...]:
        """See `FileWriter.hide_files`."""
        if trash is None:
            if not self.keeps_versions:
                raise SourceWriteError("the bucket keeps no versions; a deleted file would be gone for good")
            return self.delete_files(files)

        def copy(file: StoredFile) -> bool:
            return self._bucket.copy(self._key(file.path), self._key(f"{trash}/{file.path}"), file.size, file.etag)

        present = self._unchanged(files)  # not every store heeds the condition on a copy
        copied = self._bucket.at_once(copy, present)
        hidden = tuple(file for file, done in zip(present, copied, strict=True) if done)
        return self._delete(hidden if self._deletes_on_condition else self._unchanged(hidden))

    def restore_files(self, paths: Sequence[str], trash: str | None) -> frozenset[str]:
        """See `FileWriter.restore_files`."""
        restore = self._undelete if trash is None else lambda path: self._copy_back(path, trash)
        restored = self._bucket.at_once(restore, paths)
        return frozenset(path for path, done in zip(paths, restored, strict=True) if done)

    def purge_files(self, paths: Sequence[str], trash: str | None) -> None:
        """See `FileWriter.purge_files`."""
        if trash is None:
            self._delete_versions(self._bucket.at_once(self._old_versions, paths))
            return
        keys = [self._key(f"{trash}/{path}") for path in paths]
        if not self.keeps_versions:
            self._bucket.delete(keys)
            return
        self._delete_versions(self._bucket.at_once(self._versions, keys))

    def _delete_versions(self, found: Iterable[Iterable[ObjectVersion]]) -> None:
        """Delete versions of many keys; markers after all the others, so that nothing comes back in between."""
        versions = list(chain.from_iterable(found))
        for are_markers in (False, True):
            self._bucket.delete((old.key, old.version) for old in versions if old.is_marker is are_markers)

    def delete_files(self, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
        """See `FileWriter.delete_files`."""
        return self._delete(self._unchanged(files))

    def _delete(self, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
        present = {self._key(file.path): file for file in files}
        if self._deletes_on_condition:
            others = self._bucket.delete_unchanged({key: file.etag for key, file in present.items()})
            return tuple(file for key, file in present.items() if key not in others)
        self._bucket.delete(present)
        return tuple(present.values())

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """See `FileWriter.abort_upload`."""
        self._bucket.abort_upload(self._key(upload.path), upload.upload)

    def _unchanged(self, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
        """Those files that are still what they were; many of one folder are seen by listing that from first to last.

        What that does not show is asked for by itself: it changed, or the store lists in an order of its own.
        """
        folders: dict[str, list[StoredFile]] = {}
        for file in files:
            folders.setdefault(_folder(file), []).append(file)
        many = [there for there in folders.values() if len(there) >= WORTH_A_LISTING]
        found = {file for there in many for file in self._listed(there)}.intersection(files)
        single = [file for file in files if file not in found]
        found.update(filter(None, self._bucket.at_once(lambda file: self.stat_file(file.path), single)))
        return tuple(file for file in files if file in found)

    def _listed(self, files: Sequence[StoredFile]) -> Iterator[StoredFile]:
        """What the folder of files has from the first of them to the last."""
        keys = sorted(self._key(file.path) for file in files)
        folder = keys[0].rpartition("/")[0]
        try:
            for found in self._bucket.list_objects(f"{folder}/", after=keys[0][:-1]):
                if found.key > keys[-1]:
                    return
                yield self._stored(found)
        except SourceUnavailableError:
            raise
        except SourceError as error:
            if error.transient:
                raise
            logger.debug("what %s has from %s on can't be told: %s", folder, keys[0], error)

    def _description(self, path: str, expected: str | None) -> Mapping[str, Any]:
        """What has to stay of a file of somebody else's: without it a mount gives it another owner and rights."""
        is_new = expected is None or path.startswith(f"{OWN_FOLDER}/")
        return {} if is_new else self._bucket.description(self._key(path))

    def _mark_if_written(self, path: str, raw: bytes, refusal: LayoutliftError | None = None) -> str:
        """The mark of what is there, if that is ours: an answer may get lost, and its request be sent again."""
        found = self.read_file(path)
        if found is None or found.raw != raw:
            kind = MaybeWrittenError if isinstance(refusal, MaybeWrittenError) else SourceChangedError
            raise kind(f"{path} is another one by now; what somebody else wrote is there")
        return found.etag

    def _check_mark(self, path: str, expected: str | None) -> None:
        found = self.read_file(path)
        if (None if found is None else found.etag) != expected:
            raise SourceChangedError(f"{path} is another one by now; it was left alone")

    def _copy_back(self, path: str, trash: str) -> bool:
        if self.stat_file(path) is not None:
            return True
        hidden = self.stat_file(f"{trash}/{path}")
        if hidden is None:
            return False
        return self._bucket.copy(self._key(hidden.path), self._key(path), hidden.size, None)

    def _undelete(self, path: str) -> bool:
        """Take away the marker on top until there is a version below it, or nothing at all."""
        key = self._key(path)
        while latest := next((version for version in self._versions(key) if version.is_latest), None):
            if not latest.is_marker:
                return True
            self._bucket.delete([(latest.key, latest.version)])
        return False

    def _old_versions(self, path: str) -> list[ObjectVersion]:
        """All that is not what readers see now."""
        return [version for version in self._versions(self._key(path)) if version.is_marker or not version.is_latest]

    def _versions(self, key: str) -> list[ObjectVersion]:
        return [version for version in self._bucket.list_versions(key) if version.key == key]


class WritableBucket:
    """A `WritableSource` over all keys of a bucket below an address."""

    def __init__(self, bucket: WritableS3Bucket, address: BucketAddress) -> None:
        """Take the bucket and the part of it that is the source; nothing is read or changed yet."""
        self._bucket = bucket
        self._address = address
        self.files = BucketWriter(bucket, address)

    def open_layouts(self) -> LayoutBucket:
        """See `WritableSource.open_layouts`."""
        return LayoutBucket(self._bucket, self._address)


def _folder(file: StoredFile) -> str:
    return file.path.rpartition("/")[0]
