"""GetObject without the SDK's weight: signed by its signer if at all, sent by its connections, read by us.

`S3Client.get_object` costs 1.2 ms of processor time a call, this 0.5: with a thousand small tags that is more than
hashing and sending them. Only success is dealt with here. Whatever else a store answers, the SDK is asked the
same and knows best: it follows buckets into their region, retries, and says what is wrong.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

from botocore import UNSIGNED
from botocore.awsrequest import AWSRequest

from tasks.stores.bucket.s3_client import region_of
from tasks.stores.bucket.s3_codes import is_passing
from tasks.stores.shown_requests import ShownRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

_GOOD = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT})
_SIGNATURE = "s3v4"
_EVENT = "before-send.s3.GetObject"
REFUSALS = 20
"""After so many answers in a row that were no success, and no failure that may pass, the SDK alone is asked."""


class Body(Protocol):
    """The part of the SDK's `StreamingBody` that is used."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Read as much as one read gives."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...


class PlainGet:
    """Gets objects of one bucket; made when the SDK has had its first answer, so that credentials are there."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client: Any = client
        self._base = _base_url(client, bucket)
        self._region = region_of(client)
        self._signs = _signature(client) == _SIGNATURE
        self._refused = 0

    def __call__(self, key: str, headers: Mapping[str, str]) -> tuple[Body, Mapping[str, str]] | None:
        """The body and headers of an object, None where the SDK should be asked instead.

        Raises:
            BotoCoreError: the store does not answer.
        """
        if self._refused >= REFUSALS:
            return None
        url = f"{self._base}{quote(key, safe='/~')}"
        with ShownRequest("GET", url) as shown:
            response = self._send(AWSRequest("GET", url, headers=dict(headers)))
            shown.status = response.status_code
        if response.status_code in _GOOD:
            self._refused = 0
            return response.raw, response.headers
        self._refused += not is_passing("", response.status_code)
        response.raw.close()
        return None

    def _send(self, request: AWSRequest) -> Any:
        if self._signs:
            signer = self._client._request_signer  # noqa: SLF001 - boto3 shows it nowhere
            signer.get_auth_instance("s3", self._region, _SIGNATURE).add_auth(request)
        request.stream_output = True
        prepared = request.prepare()
        for _, answer in self._client.meta.events.emit(_EVENT, request=prepared):
            if answer is not None:
                return answer
        return self._client._endpoint.http_session.send(prepared)  # noqa: SLF001 - its proxies and certificates


def plain_get(client: S3Client, bucket: str) -> PlainGet | None:
    """The short way to objects, None where the SDK is one that has it not."""
    known = all(hasattr(client, name) for name in ("_request_signer", "_endpoint"))
    return PlainGet(client, bucket) if known and _signature(client) in (_SIGNATURE, UNSIGNED) else None


def _signature(client: S3Client) -> object:
    """How requests are signed; `UNSIGNED` where they are not."""
    return client.meta.config.signature_version  # type: ignore[attr-defined]  # set from the client's arguments


def _base_url(client: S3Client, bucket: str) -> str:
    """The address of a bucket's objects, as the SDK makes it of endpoint, region and addressing style."""
    parts = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "-"}))
    return urlunsplit(parts._replace(path=parts.path.removesuffix("-"), query=""))
