"""A plan over a bucket reads and writes nothing: its listing is the same before and after, ETags included."""

import json
from pathlib import Path

import pytest

from infra.real_parts import SeaweedFS
from tests.support.buckets import upload
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder, random_bytes

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


@pytest.fixture
def with_bucket(layoutlift: Layoutlift, seaweedfs: SeaweedFS) -> Layoutlift:
    """The command, with the store and its credentials in the environment."""
    layoutlift.environment.update(seaweedfs.environment())
    return layoutlift


def listing(s3: SeaweedFS, bucket: str) -> set[tuple[str, str, str]]:
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {(each["Key"], each["ETag"], str(each["LastModified"])) for page in pages for each in page["Contents"]}


def test_a_plan_changes_nothing_in_the_bucket(tmp_path: Path, with_bucket: Layoutlift, seaweedfs: SeaweedFS) -> None:
    for number in range(3):
        layout = LayoutBuilder(tmp_path / "tree" / f"app-{number}")
        for tag in range(5):
            layout.image(f"v{tag}", layers=[random_bytes(number * 10 + tag, 2048)])
        layout.write()
    (tmp_path / "policy.yaml").write_text(POLICY)
    bucket = seaweedfs.create_bucket("cleanup-plan")
    upload(seaweedfs, tmp_path / "tree", bucket)
    before = listing(seaweedfs, bucket)
    plan = tmp_path / "plan.jsonl"
    options = ["--policy", str(tmp_path / "policy.yaml"), "--output", str(plan)]
    shown = with_bucket("cleanup", "plan", f"s3://{bucket}", *options)
    assert listing(seaweedfs, bucket) == before
    assert "beyond the limits" in shown.stderr
    footer = json.loads(plan.read_bytes().splitlines()[-1])
    assert (footer["totals"]["tags_deleted"], footer["totals"]["tags_kept"]) == (9, 6)
    assert len(footer["beyond_limits"]) == 3
