"""Finds or makes the place of a benchmark: a bucket of the user's own, or servers of ours."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.errors import ProgramMissingError
from tasks.stores.benchmark.area_marker import run_name
from tasks.stores.benchmark.program_environment import (
    CREDENTIALS,
    credentials_of,
    for_s3fs,
    with_endpoint,
    with_own_server,
)
from tasks.stores.benchmark.venue import Venue
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.bucket.s3_client import in_region_of, make_client, named_endpoint, region_of
from tasks.stores.local_parts.registry import LocalRegistry
from tasks.stores.local_parts.seaweedfs import SeaweedFS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.stores.benchmark.remains import WorkFolder

LOCAL_BUCKET = "benchmark"
DEFAULT_PREFIX = "layoutlift-benchmark"


@contextmanager
def local_venue(
    run_id: str, work: WorkFolder, *, registry: str | None, needs_registry: bool, plain_http: bool
) -> Iterator[Venue]:
    """A SeaweedFS server, and a registry where one is needed and installed, both with their data in the run's folder.

    Raises:
        ProgramMissingError: SeaweedFS is not installed.
        ProgramFailedError: one of them does not start.
    """
    with ExitStack() as stack:
        s3 = stack.enter_context(SeaweedFS(work.folder("seaweedfs")))
        work.note_started(s3.pid)
        s3.create_bucket(LOCAL_BUCKET)
        host = registry or (_own_registry(work, stack) if needs_registry else None)
        yield Venue(
            run_id=run_id,
            address=BucketAddress(LOCAL_BUCKET, f"{DEFAULT_PREFIX}/"),
            endpoint=s3.endpoint,
            region=s3.region,
            environment=with_own_server(os.environ, s3.environment()),
            credentials=dict,  # its own are in the environment, and there are no others
            client=s3.client(),
            metrics_url=s3.metrics_url,
            registry=_repository(host, run_id),
            plain_http=plain_http or registry is None,
            has_others_registry=registry is not None,
            local_s3=s3,
        )


def _own_registry(work: WorkFolder, stack: ExitStack) -> str | None:
    try:
        own = stack.enter_context(LocalRegistry(work.folder("registry")))
    except ProgramMissingError:
        return None
    work.note_started(own.pid)
    return own.host


def bucket_venue(
    run_id: str, location: str, *, endpoint_url: str | None, registry: str | None, plain_http: bool, is_read: bool
) -> Venue:
    """A bucket of the user's, with what the SDK finds: credentials, endpoint, and the region of one that `is_read`.

    Raises:
        ConfigurationError: the location is no bucket, or the SDK's settings can't be used.
        SourceError: there are no credentials, or nobody says where the bucket is.
    """
    address = BucketAddress.parse(location)
    access = BucketAccess(endpoint_url)
    if is_read:
        access = in_region_of(address.bucket, access)
    client = make_client(access)
    credentials = partial(credentials_of, client, location)
    held = {*CREDENTIALS, *for_s3fs(dict.fromkeys(CREDENTIALS, "")), "AWS_PROFILE"} if credentials() else set()
    region = region_of(client)
    endpoint = named_endpoint(client, access)
    kept = {name: value for name, value in os.environ.items() if name not in held}
    own = kept | {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    return Venue(
        run_id=run_id,
        address=address if address.prefix else BucketAddress(address.bucket, f"{DEFAULT_PREFIX}/"),
        endpoint=endpoint,
        region=region,
        environment=with_endpoint(own, endpoint) if endpoint else own,
        credentials=credentials,
        client=client,
        registry=_repository(registry, run_id),
        has_others_registry=registry is not None,
        plain_http=plain_http,
    )


def _repository(registry: str | None, run_id: str) -> str | None:
    return None if registry is None else f"{registry}/layoutlift-benchmark/{run_name(run_id).lower()}"
