"""Which paths may hang is told without touching them."""

import os
from pathlib import Path

import pytest

from tasks.oci.errors import ConfigurationError
from tasks.stores.directory import mounts
from tasks.stores.directory.mounts import hanging_mounts, mounted_below, on_the_way, resolve, taken_away

TABLE = """\
22 1 0:20 / / rw,relatime shared:1 - overlay overlay rw
30 22 0:30 / /mnt/a\\040b rw,nosuid shared:9 master:2 - fuse.s3fs s3fs rw,user_id=0
31 22 0:31 / /mnt/nfs rw - nfs4 server:/x rw
32 22 0:32 / /proc rw - proc proc rw
33 22 0:33 / /mnt/fusion rw - ext4 /dev/sda1 rw
36 22 0:36 / /mnt/a\rb rw - fuse.s3fs s3fs rw
"""


def test_the_table_of_mounts_is_read_with_its_escapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_bytes(TABLE.encode())
    monkeypatch.setattr(mounts, "MOUNT_TABLE", table)
    assert hanging_mounts() == {"/mnt/a b", "/mnt/nfs", "/mnt/a\rb"}
    monkeypatch.setattr(mounts, "MOUNT_TABLE", tmp_path / "none")
    assert hanging_mounts() == set()


@pytest.mark.parametrize(
    "kind",
    [
        *("fuse", "fuse.rclone", "nfs", "nfs4", "cifs", "ceph", "afs"),
        *("lustre", "gpfs", "beegfs", "beegfs_nodev", "pvfs2"),
        *("9p", "virtiofs", "vboxsf", "prl_fs"),
    ],
)
def test_whatever_another_machine_serves_may_hang(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where that is the host of a virtual one, or a store that fetches content at its first read."""
    table = tmp_path / "mountinfo"
    table.write_text(f"30 22 0:30 / /mnt/far rw - {kind} far rw\n31 22 0:31 / /mnt/here rw - xfs /dev/sda rw\n")
    monkeypatch.setattr(mounts, "MOUNT_TABLE", table)
    assert hanging_mounts() == {"/mnt/far"}


AUTOMOUNT = "34 22 0:34 / /mnt/auto rw,relatime - autofs systemd-1 rw,fd=51,pgrp=1,timeout=0,direct\n"
MOUNTED = "35 34 0:35 / /mnt/auto rw,nosuid - fuse.s3fs s3fs rw,user_id=0\n"


def test_a_mount_that_is_made_when_it_is_looked_at_may_hang_before_that_and_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(mounts, "MOUNT_TABLE", table)
    for lines in (AUTOMOUNT, AUTOMOUNT + MOUNTED):
        table.write_text(lines)
        assert hanging_mounts() == {"/mnt/auto"}
        assert resolve("/mnt/auto/team/app") == ("/mnt/auto/team/app", True)
        assert taken_away(frozenset({"/mnt/auto"}), "/mnt/auto/team/app") is None
    table.write_text(AUTOMOUNT)  # who looks has it mounted again
    assert taken_away(frozenset({"/mnt/auto"}), "/mnt/auto/team/app") is None
    table.write_text("22 1 0:20 / / rw,relatime shared:1 - overlay overlay rw\n")
    assert taken_away(frozenset({"/mnt/auto"}), "/mnt/auto/team/app") == "/mnt/auto"


@pytest.mark.parametrize(
    ("path", "resolved", "may_hang"),
    [
        ("bucket", "bucket", True),
        ("bucket/team/../app", "bucket/app", True),
        ("bucketeer", "bucketeer", False),
        (".", "", True),  # the mount is below it
        ("link/team", "bucket/team", True),
        ("relative", "bucket/team", True),
        ("circle", "circle", False),
        ("missing/deep", "missing/deep", False),
    ],
)
def test_a_path_is_resolved_up_to_the_mount_and_no_further(
    tmp_path: Path, path: str, resolved: str, may_hang: bool
) -> None:
    for name in ("bucket", "bucketeer"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "bucket")
    (tmp_path / "relative").symlink_to("link/team")
    (tmp_path / "circle").symlink_to("circle")
    known = frozenset({str(tmp_path / "bucket")})
    expected = str(tmp_path / resolved) if resolved else str(tmp_path)
    assert resolve(str(tmp_path / path), known) == (expected, may_hang)


def test_a_step_up_behind_a_link_leads_to_where_the_link_does(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "tree").mkdir(parents=True)
    (tmp_path / "link").symlink_to("elsewhere/tree")
    up = f"{tmp_path}/link/../other"
    assert resolve(up, frozenset()) == (str(tmp_path / "elsewhere" / "other"), False) == (os.path.realpath(up), False)
    mount = str(tmp_path / "elsewhere" / "other")
    assert resolve(f"{up}/team", frozenset({mount})) == (f"{mount}/team", True)


def test_without_such_mounts_a_path_is_what_the_system_says(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    assert resolve(str(tmp_path / "b"), frozenset()) == (str((tmp_path / "b").resolve()), False)


def test_who_stands_in_a_folder_that_was_deleted_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigurationError, match=r"bucket: the working folder was deleted"):
        resolve("bucket", frozenset())
    assert resolve(str(tmp_path), frozenset()) == (str(tmp_path), False)


def test_mounts_on_the_way_to_a_path_are_told_from_those_below_it() -> None:
    known = frozenset({"/", "/mnt", "/mnt/a", "/mnt/a/b", "/mnt/ab"})
    assert on_the_way(known, "/mnt/a/team") == ["/", "/mnt", "/mnt/a"]
    assert mounted_below(known, "/mnt") == ["/mnt/a", "/mnt/a/b", "/mnt/ab"]
    assert mounted_below(known, "/mnt/a") == ["/mnt/a/b"]


@pytest.mark.parametrize(
    ("known", "path", "gone"),
    [
        ({"/mnt/a b"}, "/mnt/a b/team", None),
        ({"/mnt/bucket"}, "/mnt/bucket", "/mnt/bucket"),
        ({"/mnt/bucket"}, "/mnt/bucket/team", "/mnt/bucket"),
        ({"/mnt/bucket"}, "/mnt/bucketeer", None),
        ({"/mnt/a b/below"}, "/mnt/a b", None),  # what is absent there does not hang on it
    ],
)
def test_a_mount_that_was_taken_away_is_known_by_the_table(
    known: set[str], path: str, gone: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    monkeypatch.setattr(mounts, "MOUNT_TABLE", table)
    assert taken_away(frozenset(known), path) == gone
    table.unlink()
    assert taken_away(frozenset(known), path) is None


def test_a_mount_may_have_any_character_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("30 22 0:30 / /mnt/a\u2028b\x1cc rw - fuse.s3fs s3fs rw\n", encoding="utf-8")
    monkeypatch.setattr(mounts, "MOUNT_TABLE", table)
    assert hanging_mounts() == {"/mnt/a\u2028b\x1cc"}
