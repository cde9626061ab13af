"""Requests to one bucket: list, read, look. Errors are ours, and being throttled is waited out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from tasks.oci.errors import ContentNotFoundError, SourceError, is_transient
from tasks.ports import BlobStat
from tasks.stores.s3_errors import ThrottledError, UnreachableError, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from tasks.stores.s3_address import BucketAccess

ATTEMPTS = 3
THROTTLED_SECONDS = 900.0
"""How long a request may be told to slow down before that counts as a failure."""
LONGEST_WAIT = 30.0


class Body(Protocol):
    """The part of the SDK's `StreamingBody` that is used."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Read as much as one read gives."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...


@dataclass(frozen=True, slots=True)
class ListedObject:
    """A key as the listing has it; `modified` in seconds since 1970, `etag` without quotes."""

    key: str
    size: int
    etag: str
    modified: float


@dataclass(frozen=True, slots=True)
class OpenObject:
    """An answer whose body, the bytes from `start` to `stop`, is still to be read; `size` is the whole object's."""

    key: str
    body: Body
    start: int
    stop: int
    size: int
    etag: str
    version: str | None

    def readinto(self, buffer: memoryview) -> int:
        """One read of the body; 0 at its end.

        Raises:
            SourceReadError: the connection broke, or the body ended early.
        """
        with translated(self.key):
            return self.body.readinto(buffer)

    def close(self) -> None:
        """Let the connection go; one whose body was read to the end is used again."""
        self.body.close()


class S3Bucket:
    """See the module. `sleep` waits for some seconds, and may end early by an exception."""

    def __init__(
        self,
        client: S3Client,
        name: str,
        access: BucketAccess,
        *,
        sleep: Callable[[float], None] = time.sleep,
        first_wait: float = 0.5,
    ) -> None:
        self._client = client
        self._name = name
        self._more: dict[str, Any] = {"RequestPayer": "requester"} if access.request_payer else {}
        self._answered = False
        self._retrying = Retrying(
            retry=retry_if_exception(self._may_pass),
            stop=_exhausted,
            wait=wait_random_exponential(multiplier=first_wait, max=LONGEST_WAIT),
            sleep=sleep,
            reraise=True,
        )

    def list_objects(self, prefix: str) -> Iterator[ListedObject]:
        """All objects whose keys begin with `prefix`, by as few requests as there are thousands of them.

        Raises:
            SourceError: they can't be listed.
        """
        token: str | None = None
        while True:
            more = self._more | ({"ContinuationToken": token} if token else {})
            page = self._ask(self._client.list_objects_v2, self._name, Prefix=prefix, **more)
            for found in page.get("Contents", ()):
                modified = found["LastModified"].timestamp()
                yield ListedObject(found["Key"], found["Size"], found.get("ETag", "").strip('"'), modified)
            before, token = token, page.get("NextContinuationToken")
            if not page.get("IsTruncated"):
                return
            if token is None or token == before:
                raise SourceError(f"the listing of {self._name} does not go on after {prefix!r}")

    def get(self, key: str, start: int = 0, stop: int | None = None, if_match: str | None = None) -> OpenObject:
        """Ask for the bytes of an object from `start` until before `stop`; the answer's body is not read yet.

        A store that does not know ranges answers with all of it: see `OpenObject.start`.

        Raises:
            ContentNotFoundError: there is none.
            SourceError: it can't be read; a `SourceReadError` when its ETag is not `if_match` any more.
        """
        more = dict(self._more)
        if start or stop is not None:
            more["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        if if_match:
            more["IfMatch"] = if_match
        return _opened(key, self._ask(self._client.get_object, key, Key=key, **more))

    def stat(self, key: str) -> BlobStat | None:
        """Size and age of an object, None where there is none.

        Raises:
            SourceError: the store can't say.
        """
        try:
            found = self._ask(self._client.head_object, key, Key=key, **self._more)
        except ContentNotFoundError:
            return None
        return BlobStat(found["ContentLength"], found["LastModified"].timestamp())

    def _ask(self, operation: Callable[..., Any], asked_for: str, **parameters: Any) -> Any:
        def ask() -> Any:
            with translated(asked_for):
                return operation(Bucket=self._name, **parameters)

        answer = self._retrying(ask)
        self._answered = True
        return answer

    def _may_pass(self, error: BaseException) -> bool:
        """An endpoint that never answered is a wrong one; one that did comes back."""
        return is_transient(error) or (isinstance(error, UnreachableError) and self._answered)


def _exhausted(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, ThrottledError):
        return time.monotonic() - state.start_time > THROTTLED_SECONDS
    return state.attempt_number >= ATTEMPTS


def _opened(key: str, answer: dict[str, Any]) -> OpenObject:
    """Read the head of an answer; without a `ContentRange` it holds the whole object."""
    length = answer.get("ContentLength")
    if length is None:
        raise SourceError(f"the store does not say how long {key} is")
    span, _, total = answer.get("ContentRange", "").removeprefix("bytes ").partition("/")
    start = int(span.partition("-")[0]) if span else 0
    size = int(total) if total.isdigit() else start + length
    version = answer.get("VersionId")
    etag = answer.get("ETag", "")
    return OpenObject(key, answer["Body"], start, start + length, size, etag, None if version == "null" else version)
