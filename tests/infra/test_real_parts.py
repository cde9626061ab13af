"""The real parts do what the other tests rely on."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.real_parts import DebianRegistry, Goofys, Registry, S3Fs, SeaweedFS, ZotRegistry
from infra.real_parts.waiting import http_status, wait_until
from tasks.oci.errors import ProgramFailedError
from tasks.stores.local_parts import ports
from tasks.stores.local_parts.fuse import is_mounted
from tasks.stores.local_parts.registry import LocalRegistry
from tests.support.layouts import DOCKER_MANIFEST, LayoutBuilder, random_bytes
from tests.support.real_parts import Cli, running


def test_a_layout_of_the_builder_is_one_to_oras_on_every_registry(
    tmp_path: Path, any_registry: Registry, oras_cli: Cli, prefix: str
) -> None:
    layout = LayoutBuilder(tmp_path / "layout")
    image = layout.image("v1", layers=[random_bytes(1, 1000)], annotations={"a": "b"})
    child = layout.image(layers=[b"", b"x"], listed=False)
    layout.index([image, child], "multi")
    layout.referrer(image)
    layout.write()
    target = f"{any_registry.host}/{prefix}/app"
    for tag in ("v1", "multi"):
        oras_cli("copy", "-r", "--from-oci-layout", f"{layout.path}:{tag}", f"{target}:{tag}", "--to-plain-http")
    listed = oras_cli("repo", "tags", "--plain-http", "--exclude-digest-tags", target).split()
    assert sorted(listed) == ["multi", "v1"]
    fetched = oras_cli("manifest", "fetch", "--plain-http", f"{target}:v1")
    assert fetched.encode() == layout.blob_path(image).read_bytes()
    assert oras_cli("discover", "--plain-http", f"{target}:v1").count("sbom") == 1


def test_docker_types_are_taken_by_every_registry(
    tmp_path: Path, any_registry: Registry, oras_cli: Cli, prefix: str
) -> None:
    layout = LayoutBuilder(tmp_path)
    layout.image("v1", layers=[b"layer"], media_type=DOCKER_MANIFEST)
    source = f"{layout.write()}:v1"
    oras_cli("copy", "--from-oci-layout", source, f"{any_registry.host}/{prefix}:v1", "--to-plain-http")


def test_the_builder_writes_index_json_as_oras_does(tmp_path: Path, oras_cli: Cli) -> None:
    builder = LayoutBuilder(tmp_path / "ours")
    image = builder.image("v1", layers=[b"layer"], annotations={"a": "b"}, artifact_type="application/x.y")
    builder.write()
    theirs = tmp_path / "theirs"
    oras_cli("copy", "--from-oci-layout", f"{builder.path}:v1", "--to-oci-layout", f"{theirs}:v1")
    assert (theirs / "oci-layout").read_bytes() == (builder.path / "oci-layout").read_bytes()
    (entry,) = json.loads((theirs / "index.json").read_bytes())["manifests"]
    assert entry["digest"] == image["digest"]
    assert sorted(path.name for path in theirs.iterdir()) == sorted(path.name for path in builder.path.iterdir())


def test_oras_and_skopeo_write_layouts_through_the_mount(
    mounted_folder: Path, docker_registry: Registry, oras_cli: Cli, skopeo_cli: Cli, prefix: str
) -> None:
    (mounted_folder / "f.txt").write_text("hello")
    oras_cli("push", "--oci-layout", "app:v1", "f.txt", cwd=mounted_folder)
    image = f"{docker_registry.host}/{prefix}:v1"
    oras_cli("copy", "--from-oci-layout", f"{mounted_folder}/app:v1", image, "--to-plain-http")
    skopeo_cli("copy", "--src-tls-verify=false", f"docker://{image}", f"oci:{mounted_folder}/again:v1")
    assert (mounted_folder / "again" / "index.json").exists()


def test_goofys_shows_what_s3fs_wrote(s3fs_mount: S3Fs, seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    (s3fs_mount.mountpoint / "seen-by-both.txt").write_text("hello")
    with running(Goofys(tmp_path, s3=seaweedfs, bucket=s3fs_mount.bucket, read_only=True)) as goofys:
        assert (goofys.mountpoint / "seen-by-both.txt").read_text() == "hello"
        with pytest.raises(OSError, match=r"[Rr]ead-only|EROFS"):
            (goofys.mountpoint / "new.txt").write_text("no")


def test_a_read_only_mount_refuses_writes(seaweedfs: SeaweedFS, s3fs_mount: S3Fs, tmp_path: Path) -> None:
    with (
        S3Fs(tmp_path / "with space", s3=seaweedfs, bucket=s3fs_mount.bucket, read_only=True) as mount,
        pytest.raises(OSError, match="Read-only"),
    ):
        (mount.mountpoint / "new.txt").write_text("no")
    assert not list(mount.mountpoint.iterdir())


def test_s3fs_that_is_told_to_end_unmounts(seaweedfs: SeaweedFS, s3fs_mount: S3Fs, tmp_path: Path) -> None:
    """As Kubernetes ends the sidecar of cronjob-s3fs.yaml, by a signal alone."""
    (s3fs_mount.mountpoint / "read.txt").write_text("hello")
    with S3Fs(tmp_path, s3=seaweedfs, bucket=s3fs_mount.bucket, read_only=True) as mount:
        assert (mount.mountpoint / "read.txt").read_text() == "hello"
        os.kill(mount.pid, signal.SIGTERM)
        wait_until(mount._is_gone, what="s3fs ends", deadline_seconds=30)
        assert not is_mounted(mount.mountpoint)


def test_a_crashed_mount_is_freed_by_stop(seaweedfs: SeaweedFS, s3fs_mount: S3Fs, tmp_path: Path) -> None:
    mount = S3Fs(tmp_path, s3=seaweedfs, bucket=s3fs_mount.bucket).start()
    mount.kill()
    with pytest.raises(OSError, match=r"not connected|abort"):
        list(mount.mountpoint.iterdir())
    mount.stop()
    assert list(mount.mountpoint.iterdir()) == []


def test_an_object_store_that_was_killed_comes_back_with_its_data(tmp_path: Path) -> None:
    store = SeaweedFS(tmp_path)
    with store:
        store.create_bucket("kept")
        store.client().put_object(Bucket="kept", Key="a", Body=b"hello")
        store.kill()
        store.start()
        assert store.client().get_object(Bucket="kept", Key="a")["Body"].read() == b"hello"


@pytest.mark.parametrize("kind", [DebianRegistry, LocalRegistry])
def test_a_registry_goes_by_its_configuration_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[DebianRegistry | LocalRegistry]
) -> None:
    """Podman's REGISTRY_AUTH_FILE has the form of a setting of distribution, which would not start with it."""
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "/run/user/1000/containers/auth.json")
    with kind(tmp_path) as registry:
        assert http_status(f"http://{registry.host}/v2/") == 200


@pytest.mark.parametrize("kind", [DebianRegistry, ZotRegistry])
def test_a_private_registry_wants_its_password(
    own_registry: Callable[..., Registry], kind: type[Registry], oras_cli: Cli, tmp_path: Path
) -> None:
    registry = own_registry(kind, login=("me", "s:e cret"))
    (tmp_path / "f.txt").write_text("hello")
    push = ("push", "--plain-http", f"{registry.host}/app:v1", "f.txt")
    assert oras_cli.run(*push, cwd=tmp_path).returncode != 0
    assert "Digest" in oras_cli(*push, "-u", "me", "-p", "s:e cret", cwd=tmp_path)
    registry.kill()
    assert http_status(f"{registry.url}/v2/") is None
    assert registry.start().pid


def test_a_part_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    registry = DebianRegistry(tmp_path)
    registry.port = 1 << 20
    with pytest.raises(ProgramFailedError, match=r"ended by itself(.|\n)*1048576"):
        registry.start()


def test_waiting_in_vain_ends_and_says_for_what() -> None:
    with pytest.raises(ProgramFailedError, match="until pigs fly"):
        wait_until(lambda: False, what="pigs fly", deadline_seconds=0.1)


def test_no_port_of_the_store_comes_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "CANDIDATE_PORTS", ports.free_ports(9))
    store = SeaweedFS(tmp_path)
    command = " ".join(store._command())
    assert all(f"={port}" in command for port in ports.CANDIDATE_PORTS)
