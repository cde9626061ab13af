"""Copies all objects below a prefix into a folder as the SDK does it: `python -m … BUCKET PREFIX FOLDER`.

It says that it is ready, and begins when it gets a line: what is measured is the copy, not Python's start.
"""

from __future__ import annotations

import sys
from pathlib import Path

from boto3.s3.transfer import TransferConfig, create_transfer_manager

from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.bucket.s3_client import make_client


def main(bucket: str, prefix: str, folder: str) -> None:
    """Copy with the SDK's own settings for transfers: ten requests at once, parts of 8 MiB."""
    client = make_client(BucketAccess())
    client.list_objects_v2(
        Bucket=bucket, Prefix=prefix, MaxKeys=1
    )  # what the SDK loads and connects at its first use
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    with create_transfer_manager(client, TransferConfig()) as transfers:
        copies = [
            transfers.download(bucket, found["Key"], str(Path(folder) / found["Key"].rpartition("/")[2]))
            for page in pages
            for found in page.get("Contents", [])
        ]
        for copy in copies:
            copy.result()


if __name__ == "__main__":
    main(*sys.argv[1:4])
