"""The demo says where to look at what it left running."""

import subprocess
from pathlib import Path

from infra.demo.__main__ import Source
from infra.real_parts import SeaweedFS


def test_the_bucket_can_be_reached_by_what_the_list_says(tmp_path: Path) -> None:
    s3, keys = SeaweedFS(tmp_path / "s3"), tmp_path / "s3.env"
    source = Source(tmp_path / "mount", s3)
    source.write_keys(keys)
    said = "\n".join(source.places(keys))
    assert all(place in said for place in (s3.endpoint, str(keys), str(source.path)))
    assert keys.stat().st_mode & 0o077 == 0
    script = '. "$0"; printf "%s %s %s" "$AWS_ENDPOINT_URL" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"'
    read = subprocess.run(["sh", "-c", script, keys], capture_output=True, text=True, check=True).stdout
    assert read == f"{s3.endpoint} {s3.access_key} {s3.secret_key}"


def test_without_a_mount_the_folder_is_named(tmp_path: Path) -> None:
    assert Source(tmp_path).places(tmp_path / "s3.env") == [f"  layouts     {tmp_path}"]
