"""A scripted S3 server: what its answers look like, and our store over it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.stop import Stop
from tasks.stores.bucket.layout_bucket import LayoutBucket
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.bucket.s3_client import make_client
from tasks.stores.bucket.s3_versions import VersionedS3Bucket
from tests.support.scripted_registry import Reply, ScriptedRegistry

MARKER, INDEX = b'{"imageLayoutVersion":"1.0.0"}', b'{"schemaVersion":2,"manifests":[]}'
CONTENT = b"content"
BLOB = Descriptor("application/octet-stream", Digest.of(CONTENT), len(CONTENT))
BLOB_KEY = f"/bucket/app/blobs/sha256/{BLOB.digest.encoded}"
OpenBucket = Callable[..., LayoutBucket]
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "AKID",
    "AWS_SECRET_ACCESS_KEY": "a secret",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def use_worthless_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK find these, and nothing of the user's own."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


def use_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the SDK ask a program for credentials; the file has a line for each time that it did."""
    keys, asked = '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "B"}', folder / "asked"
    (folder / "give").write_text(f"#!/bin/sh\necho asked >> {asked}\necho '{keys}'\n")
    (folder / "give").chmod(0o755)
    (folder / "config").write_text(f"[default]\ncredential_process = {folder / 'give'}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    return asked


def open_scripted(
    script: ScriptedRegistry, prefix: str = "", stop: Stop | None = None, **access: object
) -> LayoutBucket:
    """The bucket `bucket` of a scripted server; what fails is tried again at once."""
    settings = BucketAccess(endpoint_url=script.url, **access)
    store = VersionedS3Bucket(make_client(settings), "bucket", settings, below=prefix, stop=stop, first_wait=0.001)
    return LayoutBucket(store, BucketAddress("bucket", prefix))


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


def page(objects: dict[str, bytes], more: str | None = None) -> Reply:
    """A page of a listing."""
    rows = (
        f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00Z</LastModified>"
        f"<ETag>{etag(content)}</ETag><Size>{len(content)}</Size></Contents>"
        for key, content in objects.items()
    )
    token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    cut = str(bool(more)).lower()
    body = f"<ListBucketResult><IsTruncated>{cut}</IsTruncated>{token}{''.join(rows)}</ListBucketResult>"
    return Reply(200, {"Content-Type": "application/xml"}, body.encode())


def content(raw: bytes, **headers: str) -> Reply:
    return Reply(200, {"ETag": etag(raw), **headers}, raw)


def refusal(code: str, status: int, message: str = "No.", more: str = "") -> Reply:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    return Reply(status, {"Content-Type": "application/xml"}, body.encode())


def always(script: ScriptedRegistry, path: str, reply: Reply) -> None:
    script.always("GET", path, reply)
