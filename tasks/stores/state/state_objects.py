"""The few small objects in a bucket that hold the state of runs: read, written whole, and written on conditions.

Conditions (`If-None-Match: *`, `If-Match`) are what a lock is made of. Not every store checks them, and one that
does not answers as if it had: `check_conditions` finds that out before anybody trusts in them.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from tasks.oci.errors import (
    ConfigurationError,
    ContentNotFoundError,
    LayoutliftError,
    SourceError,
    StateError,
    is_transient,
)
from tasks.stores.bucket.s3_answers import OBJECT_MARKERS, etag_of, modified_of, objects_of, pages_of, with_all
from tasks.stores.bucket.s3_bucket import AWAY_SECONDS
from tasks.stores.bucket.s3_client import body_of
from tasks.stores.bucket.s3_errors import (
    ChangedError,
    DeniedError,
    GarbledError,
    NotAdmittedError,
    NotKnownError,
    UnreachableError,
    answered,
)
from tasks.stores.shown_requests import show_repetition
from tasks.stores.state.object_parts import read_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedIOBase

    from mypy_boto3_s3 import S3Client
    from tenacity import RetryCallState

    from tasks.stop import Stop
    from tasks.stores.bucket.s3_address import BucketAddress
    from tasks.stores.state.object_parts import ObjectPart

_NEEDED = (
    "a state needs s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject on its objects"
)
_UNWRITTEN = "the state can't be written"
_Value = TypeVar("_Value")

logger = logging.getLogger(__name__)


class ConditionFailedError(StateError):
    """The object is not as the condition asks: somebody else wrote it."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it was read; `modified` is by the store's clock, in seconds since 1970."""

    body: bytes
    etag: str
    modified: float


class StateObjects:
    """Objects below one prefix of a bucket; the names that methods take are what follows it."""

    def __init__(self, client: S3Client, address: BucketAddress, stop: Stop, patience: float = AWAY_SECONDS) -> None:
        """What fails for the moment is asked again for `patience` seconds, or until `stop`.

        So is a store that has answered before and is not there any more; one that never was, or was waited for in
        vain, is told of at once. By default it is given as long as the bucket of a source, which may be the same.
        """
        self._client = client
        self._address = address
        over = stop_after_delay(patience)
        self._patience = patience
        self._has_answered, self._is_missed = False, False
        self._retrying = Retrying(
            retry=retry_if_exception(self._may_pass),
            stop=lambda state: over(state) or stop.requested,
            wait=wait_random_exponential(multiplier=0.5, max=5.0),
            sleep=stop.pause,
            before_sleep=self._before_again,
            reraise=True,
        )

    def __str__(self) -> str:
        return str(self._address)

    def get(self, name: str) -> StoredObject | None:
        """An object, None where there is none.

        Raises:
            StateError: it can't be read.
        """

        def read() -> StoredObject:
            answer = self._client.get_object(Bucket=self._address.bucket, Key=self._key(name))
            return StoredObject(answer["Body"].read(), etag_of(answer, name), modified_of(answer, name))

        try:
            return self._ask(name, read)
        except ContentNotFoundError:
            return None

    def part(self, name: str, after: ObjectPart | None = None) -> ObjectPart | None:
        """The part of an object that follows `after`, or its first; None where it is gone, or another one by now.

        Raises:
            StateError: it can't be read.
        """
        try:
            return self._ask(name, partial(read_part, self._client, self._address.bucket, self._key(name), after))
        except (ChangedError, ContentNotFoundError):
            return None

    def put(
        self, name: str, body: bytes | BufferedIOBase, *, only_if: str | None = None, if_absent: bool = False
    ) -> str:
        """Write an object, and return its ETag; with `only_if` in place of the one of that ETag alone.

        A file is sent from its start at each attempt, and is not read into memory.

        Raises:
            ConditionFailedError: there is another one, or with `if_absent` any. Also when an earlier attempt of
                this very call was carried out and its answer was lost: what is there tells.
            StateError: it can't be written.
        """
        more: dict[str, Any] = {"IfNoneMatch": "*"} if if_absent else {"IfMatch": only_if} if only_if else {}
        more |= body_of(body)
        key = self._key(name)

        def write() -> str:
            if not isinstance(body, bytes):
                body.seek(0)
            answer = self._client.put_object(Bucket=self._address.bucket, Key=key, **more)
            return etag_of(answer, name)

        try:
            return self._ask(name, write, _UNWRITTEN)
        except (ChangedError, ContentNotFoundError) as error:  # Amazon answers 404 where nothing could match
            raise ConditionFailedError(f"{self}/{name} was written by somebody else") from error

    def names(self, prefix: str) -> Iterator[str]:
        """The names of all objects that begin with `prefix`, in order.

        Raises:
            StateError: they can't be listed.
        """
        return (name for name, _ in self.written(prefix))

    def written(self, prefix: str) -> Iterator[tuple[str, float]]:
        """As `names`, each with when the object was written, by the store's clock, in seconds since 1970.

        Raises:
            StateError: they can't be listed.
        """
        try:
            for page in pages_of(partial(self._page, prefix), str(self), OBJECT_MARKERS):
                for each in objects_of(page, str(self)):
                    yield each["Key"].removeprefix(self._address.prefix), each["LastModified"].timestamp()
        except SourceError as error:
            raise StateError(f"the state: {error}") from error

    def _page(self, prefix: str, **place: Any) -> Any:
        """A page of a listing whose objects all have a key and a time."""

        def list_objects() -> Any:
            page = self._client.list_objects_v2(Bucket=self._address.bucket, Prefix=self._key(prefix), **place)
            for each in objects_of(page, str(self)):
                with_all(each, str(self), "Key", "LastModified")
            return page

        return self._ask(prefix, list_objects)

    def delete(self, name: str) -> None:
        """Remove an object; one that does not exist is removed already, also where the store says so.

        Raises:
            StateError: it can't be removed.
        """
        more: dict[str, Any] = {"Bucket": self._address.bucket, "Key": self._key(name)}
        with suppress(ContentNotFoundError):
            self._ask(name, lambda: self._client.delete_object(**more), _UNWRITTEN)

    def check_conditions(self) -> float:
        """The time by the store's clock, after a look whether it does what conditions ask.

        Raises:
            ConfigurationError: the store ignores conditions.
            StateError: the bucket can't be used.
        """
        name = f"probe-{secrets.token_hex(8)}"
        try:
            probe = self._probe(name)
        except StateError as error:
            if not isinstance(error, ConditionFailedError) and not isinstance(error.__cause__, NotKnownError):
                raise
            probe = None
        finally:
            self.delete(name)
        if probe is None:
            raise ConfigurationError(
                f"--state {self}: the store does not keep to conditional writes (If-Match, If-None-Match), so no "
                "lock there would keep another run out; name a folder, or a bucket of another store"
            )
        return probe.modified

    def _probe(self, name: str) -> StoredObject | None:
        """The object that conditions left under a new name, None where one of them was ignored."""
        etag = self._made(name, b"1", if_absent=True)
        if self._takes(name, if_absent=True) or self._takes(name, only_if='"00000000000000000000000000000000"'):
            return None
        self._made(name, b"2", only_if=etag)
        probe = self.get(name)
        return probe if probe is not None and probe.body == b"2" else None

    def _made(self, name: str, body: bytes, **condition: Any) -> str:
        """Write what nobody else does, and return its ETag; one whose answer was lost is refused when sent again."""
        try:
            return self.put(name, body, **condition)
        except ConditionFailedError:
            found = self.get(name)
            if found is None or found.body != body:
                raise
            return found.etag

    def _takes(self, name: str, **condition: Any) -> bool:
        try:
            self.put(name, b"3", **condition)
        except ConditionFailedError:
            return False
        return True

    def _key(self, name: str) -> str:
        return f"{self._address.prefix}{name}"

    def _ask(self, name: str, ask: Callable[[], _Value], failed: str = "the state") -> _Value:
        def attempt() -> _Value:
            with answered(f"{self}/{name}"):
                answer = ask()
            if self._is_missed:
                logger.warning("the state is there again")
            self._has_answered, self._is_missed = True, False
            return answer

        try:
            return self._retrying(attempt)
        except (ChangedError, ContentNotFoundError):
            raise
        except (NotAdmittedError, UnreachableError) as error:
            self._has_answered = False
            raise StateError(f"{self}: {error}") from error
        except DeniedError as error:
            raise StateError(f"{error.denied}; {_NEEDED}") from error
        except LayoutliftError as error:
            raise StateError(f"{failed}: {error}") from error

    def _before_again(self, state: RetryCallState) -> None:
        show_repetition(state)
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, UnreachableError) and not self._is_missed:
            self._is_missed = True
            logger.warning("the state is away, and waited for, %.0f s at most: %s", self._patience, error)

    def _may_pass(self, error: BaseException) -> bool:
        if isinstance(error, UnreachableError | GarbledError):
            return self._has_answered
        return is_transient(error) and not isinstance(error, ChangedError)
