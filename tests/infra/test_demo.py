"""The demo says where to look at what it left running."""

import subprocess
from pathlib import Path

import pytest

from infra.demo.__main__ import Demo, Source, main
from infra.demo.left_running import LeftRunning
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


@pytest.mark.parametrize("runs", [True, False])
def test_a_server_that_cannot_be_ended_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, runs: bool
) -> None:
    """As after `make clean`, which takes the command away that ends it."""
    monkeypatch.setattr(Demo, "_layoutlift", lambda *_: 1)
    state = tmp_path / "demo"
    demo = Demo(state, LeftRunning(state))
    demo.left_running.begin()
    (state / "prefect").mkdir()
    if not runs:
        demo.stop()
        assert not state.exists()
        return
    (state / "prefect" / "server.json").touch()
    with pytest.raises(SystemExit, match="still runs: `make install`"):
        demo.stop()
    assert demo.left_running.exists()


def test_a_folder_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"^demo: .*Not a directory: .*file/state"):
        main(["start", "--state", str(tmp_path / "file" / "state")])
