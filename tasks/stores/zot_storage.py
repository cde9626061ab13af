"""How zot finds the layouts of a source: the part of its configuration that says where they lie."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tasks.oci.errors import ConfigurationError, SourceError
from tasks.stores.bucket.s3_address import BucketAddress, is_bucket
from tasks.stores.directory import mounts

if TYPE_CHECKING:
    from tasks.stores.bucket.s3_address import BucketAccess

logger = logging.getLogger(__name__)
FOLDER_OF_ZOT = "/var/lib/zot"
"""Where a zot on a bucket keeps what it has of its own."""


def served_prefix(source: str) -> str:
    """What stands in zot before the path of each layout: empty, or with a slash at its end.

    It is the prefix of a bucket: zot's own `rootdirectory` does not work for that, because zot goes down it twice.
    """
    return BucketAddress.parse(source).prefix if is_bucket(source) else ""


def zot_storage(source: str, access: BucketAccess) -> dict[str, Any]:
    """The `storage` of a zot that serves a source; it holds no credentials, which zot finds as the AWS tools do.

    Raises:
        ConfigurationError: zot can't read such a source, or the settings for S3 make no sense.
    """
    if not is_bucket(source):
        return {"rootDirectory": mounts.resolve(source)[0]}
    if access.request_payer:
        raise ConfigurationError("zot can't pay for the requests to a bucket; serve a copy of it, or migrate")
    return {"rootDirectory": FOLDER_OF_ZOT, "storageDriver": _driver(BucketAddress.parse(source).bucket, access)}


def _driver(bucket: str, access: BucketAccess) -> dict[str, Any]:
    from tasks.stores.bucket.s3_client import has_own_endpoint, make_client, region_of  # noqa: PLC0415 - directories need no SDK

    client = make_client(_located(bucket, access))
    endpoint = client.meta.endpoint_url
    driver = {
        "name": "s3",
        "region": region_of(client),
        "bucket": bucket,
        "secure": urlsplit(endpoint).scheme == "https",
        "skipverify": False,
    }
    if not has_own_endpoint(client):
        return driver
    style = (client.meta.config.s3 or {}).get("addressing_style")  # type: ignore[attr-defined]
    return driver | {"regionendpoint": endpoint, "forcepathstyle": style != "virtual"}


def _located(bucket: str, access: BucketAccess) -> BucketAccess:
    """The access with the bucket's own region; zot does not go where it is led to."""
    from tasks.stores.bucket.s3_client import in_region_of  # noqa: PLC0415 - directories need no SDK

    try:
        return in_region_of(bucket, access)
    except SourceError as error:
        logger.warning("of what region s3://%s is can't be asked, and the settings' own is named: %s", bucket, error)
        return access
