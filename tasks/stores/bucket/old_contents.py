"""What files of a source in a bucket held before, where the bucket keeps versions."""

from __future__ import annotations

import logging
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING

from tasks.oci.errors import ContentError, ContentNotFoundError, SourceError, SourceUnavailableError
from tasks.oci.image_layout import MAX_INDEX_SIZE
from tasks.stores.bucket.s3_errors import DeniedError, GatewayError, NotKnownError, SilentError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.oci.errors import LayoutliftError
    from tasks.stores.bucket.s3_address import BucketAddress
    from tasks.stores.bucket.s3_versions import ObjectVersion, VersionedS3Bucket

logger = logging.getLogger(__name__)

MOST_VERSIONS = 200
"""As many of one file are read at most: an index has a version for each push that there ever was."""
MOST_BYTES = 64 * 1024 * 1024
"""After as many no further version is read: they are read one after another, and each holds all entries."""
_SLACK = 60.0
"""Seconds: some stores note times to the second alone, or by the clocks of several machines."""

_UNREAD = "earlier versions of %s are not looked at: %s"
_NEEDED = "s3:ListBucketVersions and s3:GetObjectVersion are needed for that"


class OldContents:
    """Reads earlier versions; who may not, of some or all files, is told so once.

    Of a store that knows none nothing is said: it keeps none either. One that has never told which there are, and was
    waited for over minutes, is asked for no others: behind some proxies it never tells, and each layout would wait.
    """

    def __init__(self, bucket: VersionedS3Bucket, address: BucketAddress) -> None:
        self._bucket = bucket
        self._address = address
        self._was_told = False
        self._has_listed = False
        self._is_given_up = False
        self._telling = Lock()

    def of(self, folder: str, name: str, since: float) -> Iterator[bytes]:
        """What a file held before, the newest first, back to what was written at `since`.

        Raises:
            SourceUnavailableError: the bucket is not there.
        """
        key = self._address.key(folder, name)
        if self._is_given_up:
            return
        try:
            yield from self._read(key, since - _SLACK)
        except SourceUnavailableError:
            raise
        except NotKnownError:
            return
        except DeniedError as error:
            self._tell_denied(key, error)
        except (SourceError, ContentError) as error:
            self._tell_unread(key, error)

    def _read(self, key: str, since: float) -> Iterator[bytes]:
        left = MOST_BYTES
        for version in islice(self._listed(key), MOST_VERSIONS):
            if version.key != key or version.is_latest or version.is_marker:
                continue
            if left <= 0 or (version.modified is not None and version.modified < since):
                return
            if (raw := self._content(version)) is not None:
                left -= len(raw)
                yield raw

    def _listed(self, key: str) -> Iterator[ObjectVersion]:
        for version in self._bucket.list_versions(key):
            self._has_listed = True
            yield version
        self._has_listed = True

    def _content(self, version: ObjectVersion) -> bytes | None:
        try:
            return self._bucket.read_version(version, MAX_INDEX_SIZE)
        except ContentNotFoundError:
            return None  # a lifecycle rule took it since it was listed

    def _tell_unread(self, key: str, error: LayoutliftError) -> None:
        with self._telling:
            if self._is_given_up:  # by another worker, which waited beside this one
                return
            was_waited_for = isinstance(error, ThrottledError | GatewayError | SilentError)
            self._is_given_up = was_waited_for and not self._has_listed
        others = ", and of all others," if self._is_given_up else ""
        logger.warning(_UNREAD, f"{self._bucket.name_of(key)}{others}", error)

    def _tell_denied(self, key: str, error: DeniedError) -> None:
        with self._telling:
            if not self._was_told:
                self._was_told = True
                logger.warning(
                    _UNREAD, f"{self._bucket.name_of(key)}, and perhaps of others,", f"{error.denied}; {_NEEDED}"
                )
