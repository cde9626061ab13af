"""What is only planned changes nothing: the bucket's listing is the same before and after, ETags included."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.real_parts import S3Fs, SeaweedFS
from tests.support.buckets import upload
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder, random_bytes
from tests.support.real_parts import running

POLICY = """
version: 1
policies:
  - name: all
    repositories: "**"
    order_by: name
    tags:
      - match: "v*"
        keep_last: 2
limits:
  max_percent: 50
"""


def listing(s3: SeaweedFS, bucket: str) -> set[tuple[str, str, str]]:
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {(each["Key"], each["ETag"], str(each["LastModified"])) for page in pages for each in page["Contents"]}


def write_tree(root: Path) -> None:
    """Three repositories, one of which has lost an entry that `recover` finds."""
    for number in range(3):
        layout = LayoutBuilder(root / f"app-{number}")
        for tag in range(5):
            layout.image(f"v{tag}", layers=[random_bytes(number * 10 + tag, 2048)])
        layout.image("lost", layers=[b"lost"], listed=number > 0)
        layout.write()


@pytest.fixture(params=["bucket", pytest.param("mount", marks=pytest.mark.fuse)])
def source(request: pytest.FixtureRequest, tmp_path: Path, seaweedfs: SeaweedFS) -> Iterator[tuple[str, str]]:
    """What to plan over, and the bucket whose listing tells what became of it."""
    write_tree(tmp_path / "tree")
    bucket = seaweedfs.create_bucket(f"cleanup-plan-{request.param}")
    upload(seaweedfs, tmp_path / "tree", bucket)
    if request.param == "bucket":
        yield f"s3://{bucket}", bucket
        return
    with running(S3Fs(tmp_path / "s3fs", s3=seaweedfs, bucket=bucket)) as mount:
        yield str(mount.mountpoint), bucket


def test_nothing_is_changed_where_nothing_is_applied(
    tmp_path: Path, with_bucket: Layoutlift, seaweedfs: SeaweedFS, source: tuple[str, str]
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    place, bucket = source
    before = listing(seaweedfs, bucket)
    plan = tmp_path / "plan.jsonl"
    shown = with_bucket("cleanup", "plan", place, "--policy", tmp_path / "policy.yaml", "--output", plan)
    assert "beyond the limits" in shown.stderr
    footer = json.loads(plan.read_bytes().splitlines()[-1])
    assert (footer["totals"]["tags_deleted"], footer["totals"]["tags_kept"]) == (9, 8)
    assert len(footer["beyond_limits"]) == 1
    assert "delete app-1:v3" in with_bucket("delete", place, "app-1:v3").stdout
    assert "delete app-1:v3" in with_bucket("delete", place, "app-1").stdout
    assert "recovered-" in with_bucket("recover", place).stdout
    assert listing(seaweedfs, bucket) == before
    alone = [] if place.startswith("s3:") else ["--i-am-the-only-writer"]
    with_bucket("delete", place, "app-1:v3", "--apply", *alone)
    assert listing(seaweedfs, bucket) != before, "a listing in which no change would be seen"
