"""One layout that skopeo and ORAS filled under whole references becomes the repositories that these name."""

import csv
import json
from pathlib import Path

import pytest

from infra.real_parts import Registry, S3Fs, SeaweedFS, wait_until
from tests.support.buckets import upload
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder
from tests.support.real_parts import Cli
from tests.support.registry_view import RepositoryView, everything_tagged

BASE = "base:application/vnd.oci.image.layer.v1.tar"
NAMES = tuple(f"team/app-{number}" for number in range(8))
SPLIT = ("--split-by-name", "--rename", "library=mirror")


@pytest.fixture
def dump(tmp_path: Path, oras_cli: Cli, skopeo_cli: Cli, docker_registry: Registry, prefix: str) -> Path:
    """Images of skopeo under two whole references and a bare tag, one of ORAS with an SBOM; all share a layer."""
    layout = tmp_path / "s" / "dump"
    layout.parent.mkdir()
    (tmp_path / "base").write_bytes(b"base" * 10_000)
    (tmp_path / "config.json").write_text('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}')
    image = f"{docker_registry.host}/up/{prefix}:v1"
    config = ("--config", "config.json:application/vnd.oci.image.config.v1+json")
    oras_cli("push", "--plain-http", *config, image, BASE, cwd=tmp_path)
    for name in ("docker.io/library/alpine:3.19", "registry.corp:5000/team/app:v1", "bare"):
        skopeo_cli("copy", "--src-tls-verify=false", f"docker://{image}", f"oci:{layout}:{name}")
    push(oras_cli, layout, "registry.corp:5000/team/web:v2")
    web = entry_of(layout, "registry.corp:5000/team/web:v2")
    sbom = ("--artifact-type", "application/vnd.example.sbom", f"{layout}@{web}", "config.json")
    oras_cli("attach", "--oci-layout", *sbom, cwd=tmp_path)
    return layout


def push(oras: Cli, layout: Path, reference: str) -> None:
    """Push what only this image has, and what all have."""
    scratch = layout.parent.parent
    (scratch / "own").write_text(reference)
    oras("push", "--oci-layout-path", layout, reference, "own", BASE, cwd=scratch)


def entry_of(layout: Path, ref_name: str) -> str:
    entries = json.loads((layout / "index.json").read_text())["manifests"]
    named = {each.get("annotations", {}).get("org.opencontainers.image.ref.name"): each["digest"] for each in entries}
    return str(named[ref_name])


def test_each_image_arrives_in_the_repository_of_its_name_and_stays_in_step(
    layoutlift: Layoutlift, docker_registry: Registry, dump: Path, oras_cli: Cli, prefix: str, tmp_path: Path
) -> None:
    source, target = dump.parent, f"{docker_registry.host}/{prefix}"
    expected = {"library/alpine:3.19", "team/app:v1", "team/web:v2", "dump:bare"}
    listed = layoutlift.listed(source, "--split-by-name")["repositories"]
    assert {f"{each['repository']}:{tag['tag']}" for each in listed for tag in each["tags"]} == expected
    assert layoutlift.plan(source, target, *SPLIT).outcomes == dict.fromkeys(expected, "to_copy")
    ended = layoutlift.migrate(source, target, *SPLIT)
    assert (ended.outcomes, ended.findings) == (dict.fromkeys(expected, "copied"), set())
    assert ended.report["run"]["options"]["split_by_name"]
    assert ended.totals["blobs_mounted"] >= 3, "what the images share is sent once"
    alpine = RepositoryView(docker_registry, f"{prefix}/mirror/alpine")
    assert alpine.digest("3.19") == entry_of(dump, "docker.io/library/alpine:3.19")
    web = entry_of(dump, "registry.corp:5000/team/web:v2")
    assert RepositoryView(docker_registry, f"{prefix}/team/web").tags == {"v2", web.replace(":", "-")}
    assert RepositoryView(docker_registry, f"{prefix}/team/app").tags == {"v1"}
    assert layoutlift.verify(source, target, *SPLIT, "--depth", "content").totals["tags"] == 4
    assert layoutlift.check(source, "--split-by-name", "--depth", "content").totals["tags"] == 4
    push(oras_cli, dump, "registry.corp:5000/team/web:v3")
    ended = layoutlift.migrate(source, target, *SPLIT, "--since-last")
    assert ended.outcomes == dict.fromkeys(expected, "up_to_date") | {"team/web:v3": "copied"}
    changed = layoutlift("ls", source, "--split-by-name", "--changed", target)
    assert (changed.stdout, "compared with 4 layouts" in changed.stderr) == ("", True)
    old = ("--old-reference", "docker.io/{repository}:{tag}", "--output", tmp_path / "map.csv")
    layoutlift("cutover", source, target, "--plain-http", *SPLIT, *old, "--include", "library/**")
    (row,) = csv.DictReader((tmp_path / "map.csv").open())
    assert row["old"] == "docker.io/library/alpine:3.19"
    assert row["new"].startswith(f"{target}/mirror/alpine:3.19@sha256:")


def test_a_source_that_is_one_layout_is_split_too_and_its_mistakes_cost_nothing(
    layoutlift: Layoutlift, docker_registry: Registry, dump: Path, prefix: str
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    refused = layoutlift("migrate", dump, target, "--plain-http", "--standalone", *SPLIT, "--delete-vanished", code=2)
    assert "--delete-vanished: not with --split-by-name" in refused.stderr
    assert not RepositoryView(docker_registry, f"{prefix}/team/app").tags
    ended = layoutlift.migrate(dump, target, "--split-by-name", "--exclude", "library/**")
    assert set(ended.outcomes) == {"team/app:v1", "team/web:v2", ".:bare"}
    deletes = ("--delete-vanished", "--delete-max-percent", "100")
    whole = layoutlift.migrate(dump, target, *deletes)
    assert whole.findings == {(".", "several_images")}, "a ledger of its own knows of no names that vanished"
    assert RepositoryView(docker_registry, f"{prefix}/team/app").tags == {"v1"}


@pytest.mark.fuse
def test_a_list_of_names_in_a_bucket_comes_over_after_a_kill_and_is_proved_through_a_mount(
    layoutlift: Layoutlift,
    docker_registry: Registry,
    seaweedfs: SeaweedFS,
    s3fs_mount: S3Fs,
    prefix: str,
    tmp_path: Path,
) -> None:
    """What is known of the run that was killed is in the bucket, too; the list is one that Windows wrote."""
    dump = LayoutBuilder(tmp_path / "s" / "dump")
    listed = {}
    for name in NAMES:
        image = dump.image(f"docker.io/{name}:v1", layers=[b"base" * 25_000, name.encode() * 10_000])
        dump.image(f"docker.io/{name}:v2", layers=[b"not listed"])
        listed[f"{name}:v1"] = image["digest"]
    dump.write()
    upload(seaweedfs, tmp_path / "s", s3fs_mount.bucket, f"{prefix}/")
    images = tmp_path / "images.txt"
    images.write_bytes("\r\n".join(["\ufeff# in use", *(f" {name} " for name in listed)]).encode())
    layoutlift.environment.update(seaweedfs.environment())
    target, bucket = f"{docker_registry.host}/{prefix}", f"s3://{s3fs_mount.bucket}"
    wanted = ("--split-by-name", "--tags-from", str(images))
    line = (f"{bucket}/{prefix}", target, *wanted, "--state", f"{bucket}/state-{prefix}")
    with layoutlift.running("migrate", *line, "--limit-rate", "150k", "--jobs", "2") as process:
        wait_until(lambda: everything_tagged(docker_registry, prefix), what="an image arrives", deadline_seconds=60)
        process.kill()
    assert 0 < len(everything_tagged(docker_registry, prefix)) < len(listed), "it was killed in the middle"
    ended = layoutlift(*layoutlift.line("migrate", *line))
    assert set(ended.outcomes.values()) == {"copied", "up_to_date"}
    assert everything_tagged(docker_registry, prefix) == listed
    proved = layoutlift.verify(s3fs_mount.mountpoint / prefix, target, *wanted, "--depth", "content")
    assert (proved.totals["up_to_date"], proved.findings) == (len(NAMES), set())
