"""Makes the SDK's client as this project wants it: many connections, patient, and usable with any S3 server."""

from __future__ import annotations

import base64
import codecs
import hashlib
import logging
import os
import ssl
from dataclasses import replace
from functools import cache, partial
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.loaders import Loader, create_loader
from botocore.session import Session

from tasks.oci.errors import ConfigurationError, SourceError
from tasks.stores.bucket.object_stream import PARTS_AT_ONCE
from tasks.stores.bucket.s3_address import check_endpoint_url
from tasks.stores.bucket.s3_errors import PAGE, translated
from tasks.stores.shown_requests import show_requests

if TYPE_CHECKING:
    from io import BufferedIOBase

    from mypy_boto3_s3 import S3Client

    from tasks.stores.bucket.s3_address import BucketAccess, BucketLogin

logger = logging.getLogger(__name__)

CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
COPY_SECONDS = 900.0
"""Many stores say nothing of a copy within them until it is done: at 6 MB a second, of 5 GiB."""
ATTEMPTS = 3
"""By the SDK, at one request; what is throttled is asked for again for longer, see `S3Bucket`."""
_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")
_REGION = "AWS_REGION"
"""As other SDKs read it; boto3 knows AWS_DEFAULT_REGION only."""
_PAGES = (b"<!doctype html", b"<html")
_BEGIN = 64
_OF_NO_REGION, _DEFAULT_REGION = frozenset({None, "aws-global"}), "us-east-1"


def make_client(access: BucketAccess, read_seconds: float = READ_SECONDS) -> S3Client:
    """A client with the SDK's own chain of credentials, region and endpoint; nothing is sent yet.

    Raises:
        ConfigurationError: as `make_clients` does.
    """
    (client,) = make_clients(access, read_seconds)
    return client


def make_clients(access: BucketAccess, *read_seconds: float) -> list[S3Client]:
    """Clients of one login, each of which waits so long for an answer: who is asked for credentials is asked once.

    Keys are sent in the path (`endpoint/bucket/key`) wherever the endpoint is not Amazon's, unless the profile
    says otherwise (`s3 = addressing_style = …`).

    Raises:
        ConfigurationError: the endpoint is no URL or holds credentials, or the profile, a program that it names
            or a file of authorities can't be found or read.
    """
    try:
        with translated("S3"):
            session = _session(access.login)
            return [_usable_client(session, access, seconds) for seconds in read_seconds]
    except (SourceError, ValueError) as error:
        raise ConfigurationError(f"the settings for S3 can't be used: {error}") from error


def _usable_client(session: boto3.Session, access: BucketAccess, read_seconds: float) -> S3Client:
    client = _client(session, access, None, read_seconds)
    check_endpoint_url(client.meta.endpoint_url)  # it may come from a variable or a profile, too
    _check_authorities(session, client)
    if has_own_endpoint(client) and not _chosen_style(session):
        client = _client(session, access, "path", read_seconds)
    if has_own_endpoint(client):
        client.meta.events.register("before-call.s3.DeleteObjects", _add_md5)
    client.meta.events.register("before-parse.s3", _note_pages)
    show_requests(client)
    _tell_of_silence(client, read_seconds)
    return client


def _check_authorities(session: boto3.Session, client: S3Client) -> None:
    """Refuse a file of authorities that is none, of which the SDK says at each request that TLS failed."""
    named = session._session.get_config_variable("ca_bundle")  # noqa: SLF001 - boto3 has no way of its own
    if named is None:
        named = os.environ.get("REQUESTS_CA_BUNDLE")
    if named is None or urlsplit(client.meta.endpoint_url).scheme != "https":
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=named)
    except OSError as error:
        raise ConfigurationError(
            f"the file of authorities that AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or the profile names: {named}: {error}"
        ) from error


def _add_md5(params: dict[str, Any], **_: object) -> None:
    """Send the checksum that a deletion had to have once, and that older stores insist on; the SDK sends another."""
    params["headers"]["Content-MD5"] = _md5_of(BytesIO(params["body"]))


def body_of(body: bytes | BufferedIOBase) -> dict[str, Any]:
    """A body as `put_object` takes it, with what Amazon insists on where objects are locked by default."""
    return {"Body": body, "ContentMD5": _md5_of(BytesIO(body) if isinstance(body, bytes) else body)}


def _md5_of(body: BufferedIOBase) -> str:
    body.seek(0)
    digest = hashlib.file_digest(body, partial(hashlib.md5, usedforsecurity=False))
    return base64.b64encode(digest.digest()).decode()


def _note_pages(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Have it said what is no XML: the SDK calls an answer with 200 that it can't read a store's failure, of 500."""
    body = response_dict["body"]
    if response_dict["status_code"] == HTTPStatus.INTERNAL_SERVER_ERROR and isinstance(body, bytes):
        begin = body[:_BEGIN].removeprefix(codecs.BOM_UTF8).lstrip().lower()
        if begin and (not begin.startswith(b"<") or begin.startswith(_PAGES)):
            customized_response_dict[PAGE] = True


def _tell_of_silence(client: S3Client, seconds: float) -> None:
    """Say it, once, when the endpoint takes requests and gives no answer: the SDK asks again, and tells nobody."""
    is_told = False

    def tell(caught_exception: Exception | None, **_: object) -> None:
        nonlocal is_told
        if isinstance(caught_exception, ReadTimeoutError) and not is_told:
            is_told = True
            logger.warning("the S3 endpoint has not answered for %.0f s, and is asked again", seconds)

    client.meta.events.register("needs-retry.s3", tell)
    for heard in (tell, _leave_silence):  # before the SDK's own, which hear of all operations
        client.meta.events.register("needs-retry.s3.CopyObject", heard)


def _leave_silence(caught_exception: Exception | None, **_: object) -> None:
    """Have only us ask again for a copy without an answer: by the SDK besides, it were nine times `COPY_SECONDS`.

    Copies in parts are left to it: for us one part that fails is all of them.
    """
    if isinstance(caught_exception, ReadTimeoutError):
        raise caught_exception


def _session(login: BucketLogin) -> boto3.Session:
    session = Session(profile=login.profile)
    session.register_component("data_loader", _service_descriptions(session.get_config_variable("data_path")))
    return boto3.Session(
        botocore_session=session,
        profile_name=login.profile,
        region_name=login.region or os.environ.get(_REGION) or None,
        aws_access_key_id=login.access_key_id,
        aws_secret_access_key=login.secret_access_key,
        aws_session_token=login.session_token,
    )


@cache
def _service_descriptions(search_path: str | None) -> Loader:
    """What the SDK knows of S3, read once and not by each client: that is an eighth of a second of processor."""
    return create_loader(search_path)


def _client(
    session: boto3.Session, access: BucketAccess, style: Literal["path"] | None, read_seconds: float
) -> S3Client:
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=access.connections + PARTS_AT_ONCE,
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        # "when_supported", the SDK's default, is not understood by other stores; our digests are stronger.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="layoutlift",
        s3={"addressing_style": style} if style else None,
        signature_version=UNSIGNED if access.anonymous else None,
    )
    return session.client("s3", endpoint_url=access.endpoint_url, config=config)


def has_own_endpoint(client: S3Client) -> bool:
    """Whether a client talks to another store than Amazon's."""
    return not (urlsplit(client.meta.endpoint_url).hostname or "").endswith(_AMAZON)


def named_endpoint(client: S3Client, access: BucketAccess) -> str | None:
    """The endpoint that a client was told of, wherever that is named; of Amazon's only as its user chose it."""
    asked = client.meta.endpoint_url
    return asked if has_own_endpoint(client) or asked == access.endpoint else None


def chosen_endpoint(access: BucketAccess) -> str | None:
    """The same of the client that would be made; no credentials are looked for.

    Only the SDK knows whether its variables count: its configuration may have it ignore them.

    Raises:
        ConfigurationError: as `make_client` does.
    """
    return access.endpoint_url or named_endpoint(make_client(replace(access, anonymous=True)), access)


def other_store(access: BucketAccess) -> str | None:
    """The endpoint of a store that is not Amazon's, wherever it is named; no credentials are looked for.

    Raises:
        ConfigurationError: as `make_client` does.
    """
    client = make_client(replace(access, anonymous=True))
    return client.meta.endpoint_url if has_own_endpoint(client) else None


def region_of(client: S3Client) -> str:
    """The region that requests are signed for: the SDK may have none, or a name of its own for that."""
    region = client.meta.region_name
    return _DEFAULT_REGION if region in _OF_NO_REGION else region


def in_region_of(bucket: str, access: BucketAccess) -> BucketAccess:
    """The access with the region in which a bucket is at Amazon: for programs that do not go where they are led to.

    It is asked for without credentials, because whoever may not read a bucket is told that, too.

    Raises:
        ConfigurationError: the settings for S3 can't be used.
        SourceError: nobody answers.
    """
    client = make_client(replace(access, anonymous=True))
    region = None if has_own_endpoint(client) else _told_region(client, bucket)
    return replace(access, login=replace(access.login, region=region)) if region else access


def _told_region(client: S3Client, bucket: str) -> str | None:
    with translated(f"s3://{bucket}"):
        try:
            headers = client.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
        except ClientError as error:  # which says it as well
            headers = error.response["ResponseMetadata"]["HTTPHeaders"]
    return headers.get("x-amz-bucket-region")


def _chosen_style(session: boto3.Session) -> str | None:
    chosen = session._session.get_scoped_config().get("s3")  # noqa: SLF001 - boto3 has no way of its own
    return chosen.get("addressing_style") if isinstance(chosen, dict) else None
