"""Trees of layouts in buckets: put there as they lie on the disk, and read by our own store."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from mypy_boto3_s3 import S3Client

from infra.real_parts import SeaweedFS
from tasks.endpoints import open_source
from tasks.oci.errors import LayoutliftError
from tasks.operations.reports.results import RepositoryInventory
from tasks.operations.source.enumeration import enumerate_repository
from tasks.ports import Finding, Source
from tasks.stores.bucket.layout_bucket import LayoutBucket
from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.bucket.s3_client import make_client


def upload(s3: SeaweedFS, root: Path, bucket: str, prefix: str = "") -> None:
    """Put all files below `root` into a bucket, under keys that are their paths behind the prefix."""
    client = s3.client()

    def put(path: Path) -> None:
        client.put_object(Bucket=bucket, Key=f"{prefix}{path.relative_to(root)}", Body=path.read_bytes())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, [path for path in root.rglob("*") if path.is_file()]))


def use_environment(s3: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the SDK find this store and its credentials in the environment, and nothing else anywhere."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")


@contextmanager
def moto_bucket(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    """A client of a store in this process, which has what SeaweedFS has not, with one bucket."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = make_client(BucketAccess())
        client.create_bucket(Bucket=name)
        yield client


def open_bucket(source: str, **more: Any) -> LayoutBucket:
    """The store of `s3://…`, as the command opens it."""
    store = open_source(source, **more)
    assert isinstance(store, LayoutBucket)
    return store


def seen(source: Source) -> list[tuple[str, Any]]:
    """Everything that a source shows, in order, but for its marks of indexes."""
    listed = source.list_layouts()
    return [(found.path, found) if isinstance(found, Finding) else read(source, found) for found in listed]


def read(source: Source, path: str) -> tuple[str, RepositoryInventory | str]:
    try:
        return path, dataclasses.replace(enumerate_repository(source, path), etag="")
    except LayoutliftError as error:
        return path, error.code
