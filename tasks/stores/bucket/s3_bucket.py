"""Requests to one bucket: list, read, look. Errors are ours, and being throttled is waited out."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from tasks.oci.errors import ContentNotFoundError, SourceError, SourceReadError, SourceUnavailableError, is_transient
from tasks.ports import BlobStat
from tasks.stop import Stop
from tasks.stores.bucket.s3_answers import OBJECT_MARKERS, UPLOAD_MARKERS, object_of, objects_of, pages_of, with_all
from tasks.stores.bucket.s3_errors import (
    ChangedError,
    GarbledError,
    GatewayError,
    SilentError,
    ThrottledError,
    UnreachableError,
    answered,
    translated,
)
from tasks.stores.bucket.s3_get import plain_get
from tasks.stores.pacing import RequestGate
from tasks.stores.shown_requests import show_repetition
from tasks.stores.silence import SILENT_SECONDS, Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_s3 import S3Client

    from tasks.stores.bucket.s3_address import BucketAccess
    from tasks.stores.bucket.s3_answers import ListedObject
    from tasks.stores.bucket.s3_get import Body, PlainGet

logger = logging.getLogger(__name__)

_Value = TypeVar("_Value")
ATTEMPTS = 3
"""Failures of a request; being told to slow down, or nobody being there for a moment, is none."""
THROTTLED_SECONDS = 900.0
"""How long a request may be told to slow down before that counts as a failure."""
TOLD_SECONDS = 30.0
"""After so long of that with nothing else read it is said; asking for a moment's patience is every store's right."""
AWAY_SECONDS = 300.0
"""How long an endpoint that has answered before may be away, as while it is started anew; as long as a target may."""
LONGEST_WAIT = 30.0


@dataclass(frozen=True, slots=True)
class OpenObject:
    """An answer whose body, the bytes from `start` to `stop`, is still to be read; `size` is the whole object's.

    `name` is what messages call it.
    """

    key: str
    name: str
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
        with translated(self.name):
            return self.body.readinto(buffer)

    def close(self) -> None:
        """Let the connection go; one whose body was read to the end is used again."""
        self.body.close()


class S3Bucket:
    """See the module. When the store tells one worker to slow down, all of them do; waits end with `stop`."""

    def __init__(
        self,
        client: S3Client,
        name: str,
        access: BucketAccess,
        *,
        below: str = "",
        stop: Stop | None = None,
        first_wait: float = 0.5,
    ) -> None:
        """Messages name objects by their path below the prefix `below`, as those on a mount do."""
        self.is_anonymous = access.anonymous
        self._client, self._name, self._below = client, name, below
        self._more: dict[str, Any] = {"RequestPayer": "requester"} if access.request_payer else {}
        self._headers = {"x-amz-request-payer": "requester"} if access.request_payer else {}
        self._answered = False
        self._is_missed = False
        self._silence = Silence(SILENT_SECONDS)
        self._plain: PlainGet | None = None
        stop = stop or Stop()
        self._wait_for_writer = partial(stop.wait, 2 * first_wait)
        self._gate = RequestGate(stop)
        self._grown = wait_random_exponential(multiplier=first_wait, max=LONGEST_WAIT)
        self._patient = Retrying(
            retry=retry_if_exception(self._is_worth_waiting),
            stop=_waited_enough,
            wait=self._wait_together,
            sleep=stop.wait,
            before_sleep=show_repetition,
            reraise=True,
        )
        self._retrying = Retrying(
            retry=retry_if_exception(self._may_pass),
            stop=stop_after_attempt(ATTEMPTS),
            wait=self._grown,
            sleep=stop.wait,
            before_sleep=show_repetition,
            reraise=True,
        )

    def list_objects(self, prefix: str, after: str = "") -> Iterator[ListedObject]:
        """All objects whose keys begin with `prefix` and come `after` one, by a request for each thousand of them.

        Raises:
            SourceError: they can't be listed.
        """
        first = {"StartAfter": after} if after else {}
        for page in pages_of(partial(self._page, prefix), self._name, OBJECT_MARKERS, first):
            for each in objects_of(page, self._name):
                yield object_of(each, self._name)

    def _page(self, prefix: str, **place: str) -> Any:
        """A page of a listing, and nothing else, so that what is none is asked for again."""

        def list_objects(**parameters: Any) -> Any:
            page = self._client.list_objects_v2(**parameters)
            objects_of(page, self._name)
            return page

        return self._ask(list_objects, self._name, Prefix=prefix, **place, **self._more)

    def list_uploads(self, prefix: str) -> Iterator[tuple[str, str, float]]:
        """Key, id and begin of every multipart upload that is not finished.

        Raises:
            SourceError: they can't be listed.
        """
        ask = partial(self._ask, self._client.list_multipart_uploads, self._name, Prefix=prefix, **self._more)
        for page in pages_of(ask, self._name, UPLOAD_MARKERS):
            for each in page.get("Uploads", ()):
                found = with_all(each, self._name, "Key", "UploadId", "Initiated")
                yield found["Key"], found["UploadId"], found["Initiated"].timestamp()

    def get(self, key: str, start: int = 0, stop: int | None = None) -> OpenObject:
        """Ask for the bytes of an object from `start` until before `stop`; the answer's body is not read yet.

        A store that does not know ranges answers with all of it: see `OpenObject.start`.

        Raises:
            ContentNotFoundError: there is no such object.
            SizeMismatchError: it ends before `start`.
            SourceError: it can't be read.
        """
        wanted = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if start or stop is not None else {}
        return self._tried(partial(self._get, key, wanted), self.name_of(key))

    def stat(self, key: str) -> BlobStat | None:
        """Size and age of an object, None where there is none.

        Raises:
            SourceError: the store can't say.
        """
        try:
            found = self._ask(self._client.head_object, self.name_of(key), Key=key, **self._more)
        except ContentNotFoundError:
            return None
        if not {"ContentLength", "LastModified"} <= found.keys():
            raise SourceError(f"the store does not say how large and how old {self.name_of(key)} is")
        return BlobStat(found["ContentLength"], found["LastModified"].timestamp())

    def wait_for_writer(self) -> None:
        """Wait for a second: a mount takes less to write an object that it has emptied before.

        Raises:
            InterruptedRunError: the run is to end.
        """
        self._wait_for_writer()

    def name_of(self, key: str) -> str:
        """What messages call an object."""
        return key.removeprefix(self._below)

    def _ask(self, operation: Callable[..., Any], asked_for: str, **parameters: Any) -> Any:
        return self._tried(lambda: operation(Bucket=self._name, **parameters), asked_for)

    def _tried(self, ask: Callable[[], _Value], asked_for: str) -> _Value:
        def attempt() -> _Value:
            self._gate.enter()
            with answered(asked_for):
                return ask()

        asked = time.monotonic()
        try:
            answer: _Value = self._retrying(self._patient, attempt)  # what is waited for is no failed attempt
        except SourceReadError as error:
            if not isinstance(error, ChangedError) and self._silence.lasts(asked):
                raise SourceUnavailableError(f"the bucket gave nothing for {SILENT_SECONDS:.0f} s: {error}") from None
            raise
        self._silence.end()
        if self._is_missed:
            self._is_missed = False
            logger.warning("the bucket is there again")
        if not self._answered:
            self._answered = True
            with translated(asked_for):
                self._plain = plain_get(self._client, self._name)
        return answer

    def _get(self, key: str, wanted: Mapping[str, str]) -> OpenObject:
        plain = self._plain and self._plain(key, {**self._headers, **wanted})
        if plain:
            return _opened(key, self.name_of(key), *plain)
        more = self._more | {name.replace("-", ""): value for name, value in wanted.items()}
        answer: Any = self._client.get_object(Bucket=self._name, Key=key, **more)
        return _opened(key, self.name_of(key), answer["Body"], answer["ResponseMetadata"]["HTTPHeaders"])

    def _wait_together(self, state: RetryCallState) -> float:
        """How long to wait for a store that asks for fewer requests, or is away; all workers do."""
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, UnreachableError) and not self._is_missed:
            self._is_missed = True
            logger.warning("the bucket is away, and waited for, %.0f s at most: %s", AWAY_SECONDS, error)
        if isinstance(error, ThrottledError | GatewayError) and time.monotonic() - state.start_time > TOLD_SECONDS:
            self._silence.tell("the bucket", state.start_time, str(error))
        seconds = self._grown(state)
        if not isinstance(error, GatewayError):  # whose word may be of one object alone
            self._gate.pause(seconds)
        return seconds

    def _is_worth_waiting(self, error: BaseException) -> bool:
        """An endpoint that never answered is a wrong one; one that did comes back."""
        is_back_soon = self._answered and isinstance(error, UnreachableError | GatewayError)
        return is_back_soon or isinstance(error, ThrottledError)

    def _may_pass(self, error: BaseException) -> bool:
        """One that never answered as a store does is a wrong endpoint, or was asked by the SDK for minutes."""
        if isinstance(error, SilentError | GarbledError) and not self._answered:
            return False
        return is_transient(error) and not (isinstance(error, ChangedError) or self._is_worth_waiting(error))


def _waited_enough(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome is not None else None
    longest = THROTTLED_SECONDS if isinstance(error, ThrottledError) else AWAY_SECONDS
    return time.monotonic() - state.start_time > longest


def _opened(key: str, name: str, body: Body, headers: Mapping[str, str]) -> OpenObject:
    """Read the head of an answer; without a `Content-Range` it holds the whole object."""
    length = headers.get("content-length")
    if length is None:
        raise SourceError(f"the store does not say how long {name} is")
    span, _, total = headers.get("content-range", "").removeprefix("bytes ").partition("/")
    first = span.partition("-")[0] or "0"
    if not (first.isdecimal() and length.isdecimal()):
        raise SourceError(f"the store does not say which bytes of {name} it sends")
    start, stop = int(first), int(first) + int(length)
    version = headers.get("x-amz-version-id")
    return OpenObject(
        key=key,
        name=name,
        body=body,
        start=start,
        stop=stop,
        size=int(total) if total.isdigit() else stop,
        etag=headers.get("etag", ""),
        version=None if version == "null" else version,
    )
