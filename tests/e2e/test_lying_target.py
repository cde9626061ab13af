"""A target that says it has what it has not: what it refuses for that is sent again, and a lie is no proof."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.fault_proxy import Change, FaultProxy, Say, Upstream
from tests.support.layouts import LayoutBuilder, random_bytes
from tests.support.registry_view import DistributionStorage, RepositoryView

LARGE = 600_000


def write(root: Path, *tags: str, path: str = "app") -> LayoutBuilder:
    """Tags with a large layer in common, and a small one of their own."""
    layout = LayoutBuilder(root / path)
    for tag in tags:
        layout.image(tag, layers=[random_bytes(0, LARGE), tag.encode()])
    layout.write()
    return layout


def test_a_blob_that_the_target_only_says_it_has_is_sent_when_the_manifest_is_refused(
    layoutlift: Layoutlift, docker_registry: Registry, proxy: FaultProxy, prefix: str, tmp_path: Path
) -> None:
    layer = write(tmp_path, "v1", "v2").blob(random_bytes(0, LARGE))
    path = f"/v2/{prefix}/app/blobs/{layer['digest']}"
    proxy.when("HEAD", path, Say(200, {"Content-Length": str(LARGE)}))
    ended = layoutlift.migrate(tmp_path, f"{proxy.host}/{prefix}", "--jobs", "1")
    assert ended.outcomes == {"app:v1": "copied", "app:v2": "copied"}
    refused = [put for put in proxy.asked("PUT", r".*/manifests/.*") if put.status == 400]
    assert len(refused) == 1
    assert RepositoryView(docker_registry, f"{prefix}/app").blob(layer["digest"]) == random_bytes(0, LARGE)
    layoutlift.verify(tmp_path, f"{docker_registry.host}/{prefix}", "--depth", "content")


def test_a_mount_that_the_target_only_says_it_made_is_made_good(
    layoutlift: Layoutlift, docker_registry: Registry, proxy: FaultProxy, prefix: str, tmp_path: Path
) -> None:
    write(tmp_path, "v1", path="a")
    layer = write(tmp_path, "v1", path="b").blob(random_bytes(0, LARGE))
    made = {"Location": f"/v2/{prefix}/b/blobs/{layer['digest']}"}
    proxy.when("POST", f"/v2/{prefix}/b/blobs/uploads/", Say(201, made), times=3)
    ended = layoutlift.migrate(tmp_path, f"{proxy.host}/{prefix}", "--jobs", "1")
    assert ended.outcomes == {"a:v1": "copied", "b:v1": "copied"}
    assert ended.totals["blobs_mounted"] == 3
    assert RepositoryView(docker_registry, f"{prefix}/b").has_blob(layer["digest"])
    layoutlift.verify(tmp_path, f"{docker_registry.host}/{prefix}", "--depth", "content")


def test_a_target_that_refuses_for_a_missing_blob_for_ever_fails_the_tag(
    layoutlift: Layoutlift, docker_registry: Registry, proxy: FaultProxy, prefix: str, tmp_path: Path
) -> None:
    write(tmp_path, "v1", "v2")
    unknown = b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}'
    proxy.when("PUT", r".*/manifests/v1", Say(400, {"Content-Type": "application/json"}, unknown), times=100)
    ended = layoutlift.migrate(tmp_path, f"{proxy.host}/{prefix}", code=1)
    assert ended.outcomes == {"app:v1": "missing_referenced_content", "app:v2": "copied"}
    assert len(proxy.asked("PUT", r".*/manifests/v1")) == 2
    assert RepositoryView(docker_registry, f"{prefix}/app").tags == {"v2"}


def test_a_blob_that_went_away_between_two_runs_is_sent_again(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    layer = write(tmp_path, "v1").blob(random_bytes(0, LARGE))
    target = f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(tmp_path, target)
    DistributionStorage(docker_registry, f"{prefix}/app").unlink_blob(layer["digest"])
    write(tmp_path, "v1", "v2")
    ended = layoutlift.migrate(tmp_path, target)
    assert ended.outcomes == {"app:v1": "up_to_date", "app:v2": "copied"}
    layoutlift.verify(tmp_path, target, "--depth", "content")


@pytest.mark.parametrize("more", [(), ("--prove-again", "--depth", "blobs")])
def test_a_blob_whose_link_a_full_disk_left_empty_is_sent_again(
    more: tuple[str, ...], layoutlift: Layoutlift, own_registry: Callable[..., Registry], tmp_path: Path
) -> None:
    """Whoever made room there and ran again got the same 500 for each tag that has the blob, for ever."""
    layer = write(tmp_path / "source", "v1").blob(random_bytes(0, LARGE))
    registry = own_registry()
    layoutlift.migrate(tmp_path / "source", registry.host)
    storage = DistributionStorage(registry, "app")
    storage.empty_link_of_blob(layer["digest"])
    if not more:
        storage.remove_tag("v1")
    ended = layoutlift.migrate(tmp_path / "source", registry.host, *more)
    assert ended.outcomes == {"app:v1": "copied"}
    layoutlift.verify(tmp_path / "source", registry.host, "--depth", "content")


def test_a_tag_whose_link_a_full_disk_left_empty_is_written_again_where_all_may_be(
    layoutlift: Layoutlift, own_registry: Callable[..., Registry], tmp_path: Path
) -> None:
    write(tmp_path / "source", "v1")
    registry = own_registry()
    layoutlift.migrate(tmp_path / "source", registry.host)
    DistributionStorage(registry, "app").empty_link_of_tag("v1")
    ended = layoutlift.migrate(tmp_path / "source", registry.host, "--on-conflict", "overwrite")
    assert ended.outcomes == {"app:v1": "copied"}
    layoutlift.verify(tmp_path / "source", registry.host)


def test_a_manifest_that_the_target_answers_with_other_bytes_is_found(
    layoutlift: Layoutlift, proxy: FaultProxy, prefix: str, tmp_path: Path
) -> None:
    write(tmp_path, "v1", "v2")
    target = f"{proxy.host}/{prefix}"
    layoutlift.migrate(tmp_path, target)
    raw = RepositoryView(proxy, f"{prefix}/app").manifest("v1")  # type: ignore[arg-type]  # it has a url, too
    assert raw is not None

    def altered(answer: Upstream) -> Upstream:
        return replace(answer, body=answer.body.replace(raw, raw[:-1] + b" }")[: len(raw)])

    proxy.when("GET", rf"/v2/{prefix}/app/manifests/.*", Change(altered), times=100)
    ended = layoutlift.verify(tmp_path, target, "--depth", "manifest", code=1)
    assert ended.outcomes == {"app:v1": "different_at_target", "app:v2": "up_to_date"}


def test_a_tag_that_did_not_stick_is_no_success(
    layoutlift: Layoutlift, proxy: FaultProxy, prefix: str, tmp_path: Path
) -> None:
    layout = write(tmp_path, "v1", "v2")
    digest = layout.entries[0]["digest"]
    proxy.when("PUT", r".*/manifests/v1", Say(201, {"Docker-Content-Digest": digest}))
    ended = layoutlift.migrate(tmp_path, f"{proxy.host}/{prefix}", code=1)
    assert ended.outcomes == {"app:v1": "missing_at_target", "app:v2": "copied"}
    assert layoutlift.migrate(tmp_path, f"{proxy.host}/{prefix}").outcomes == {
        "app:v1": "copied",
        "app:v2": "up_to_date",
    }
