"""What programs are told of an S3 service by their environment: its endpoint, credentials, and the way to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tasks.stores.bucket.s3_address import ENDPOINT_VARIABLES
from tasks.stores.bucket.s3_errors import translated
from tasks.stores.local_parts.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_IGNORES_ENDPOINTS = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
_NO_PROXY = ("NO_PROXY", "no_proxy")
_SDK_VARIABLES = "AWS_"
_NO_FILES = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
_NO_METADATA = {"AWS_EC2_METADATA_DISABLED": "true"}


def with_endpoint(environment: Mapping[str, str], endpoint: str) -> dict[str, str]:
    """The environment with one endpoint, by every name that the SDKs know."""
    kept = {name: value for name, value in environment.items() if name != _IGNORES_ENDPOINTS}
    return kept | dict.fromkeys(ENDPOINT_VARIABLES, endpoint)


def with_own_server(environment: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The environment with what reaches a server of our own, and nothing that the user has of other services."""
    kept = {name: value for name, value in environment.items() if not name.startswith(_SDK_VARIABLES)}
    return {**past_proxies(kept), **_NO_FILES, **given, **for_s3fs(given), **_NO_METADATA}


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with no proxy on the way to this machine's own services."""
    named = next(filter(None, map(environment.get, _NO_PROXY)), "")
    return {**environment, **dict.fromkeys(_NO_PROXY, f"{named},{LOOPBACK}".removeprefix(","))}


def sdk_credentials(client: S3Client) -> Credentials | None:
    """What the SDK's own chain found for a client, None for an anonymous one."""
    found: Credentials | None = client._request_signer._credentials  # type: ignore[attr-defined]  # noqa: SLF001 - boto3 shows them nowhere
    return found


def credentials_of(client: S3Client, location: str) -> dict[str, str]:
    """What the SDK's own chain has, renewed where it ends soon, as the variables that all programs understand.

    Raises:
        LayoutliftError: they have ended, and there are no new ones.
    """
    found = sdk_credentials(client)
    if found is None:
        return {}
    with translated(location):
        frozen = found.get_frozen_credentials()
    named = dict(zip(CREDENTIALS, (frozen.access_key, frozen.secret_key, frozen.token), strict=True))
    given = {name: value for name, value in named.items() if value}
    return given | for_s3fs(given)


def for_s3fs(variables: Mapping[str, str]) -> dict[str, str]:
    """The same by the names that s3fs had before it knew the SDK's."""
    return {name.replace("_", ""): value for name, value in variables.items() if name in CREDENTIALS}
