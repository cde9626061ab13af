"""A source that goes on: only what changed is asked for and copied, and what moved or vanished is said."""

import shutil
from pathlib import Path

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.content import tree
from tests.support.fault_proxy import FaultProxy
from tests.support.layouts import LayoutBuilder
from tests.support.real_parts import Cli


def replace_layout(path: Path, **tags: bytes) -> None:
    shutil.rmtree(path, ignore_errors=True)
    layout = LayoutBuilder(path)
    for tag, layer in tags.items():
        layout.image(tag, layers=[layer])
    layout.write()


def test_unchanged_layouts_are_not_asked_of_the_target(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    proxy = FaultProxy(docker_registry.host)
    try:
        source, target = tree(tmp_path / "s", 3, 2), f"{proxy.host}/{prefix}"
        first = layoutlift.migrate(source, target, "--since-last")
        assert first.totals["copied"] == 6
        again = layoutlift.migrate(source, target, "--since-last")
        assert again.totals["up_to_date"] == 6
        assert again.totals["requests"] == 1, "only whether the target lets us in"
        assert {row["verified"] for row in again.report["tags"]} == {"manifest"}
        assert again.report["run"]["options"]["since_last"] is True

        replace_layout(source / "app-1", v0=b"other", v2=b"new")
        before = len(proxy.seen)
        third = layoutlift.migrate(source, target, "--since-last")
        asked = {seen.path.split("/")[3] for seen in proxy.seen[before:] if seen.path != "/v2/"}
        assert asked == {"app-1"}
        assert (third.totals["copied"], third.totals["up_to_date"]) == (2, 4)
        assert third.findings == {("app-1", "tag_moved"), ("app-1", "tag_vanished")}
    finally:
        proxy.stop()


def test_without_the_option_what_others_deleted_at_the_target_is_mended(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 1, 1), f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    shutil.rmtree(docker_registry.storage / f"docker/registry/v2/repositories/{prefix}/app-0")
    assert layoutlift.migrate(source, target, "--since-last").totals["up_to_date"] == 1
    assert layoutlift.migrate(source, target).totals["copied"] == 1


def test_a_layout_with_a_problem_or_under_other_options_is_asked_for_again(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    proxy = FaultProxy(docker_registry.host)
    try:
        source, target = tree(tmp_path / "s", 2, 2), f"{proxy.host}/{prefix}"
        replace_layout(source / "app-1", good=b"good", bad=b"bad")
        (blob,) = [p for p in (source / "app-1" / "blobs" / "sha256").iterdir() if p.read_bytes() == b"bad"]
        blob.write_bytes(b"not")
        layoutlift.migrate(source, target, "--since-last", code=1)
        before = len(proxy.seen)
        layoutlift.migrate(source, target, "--since-last", code=1)
        assert {seen.path.split("/")[3] for seen in proxy.seen[before:] if seen.path != "/v2/"} == {"app-1"}
        before = len(proxy.seen)
        layoutlift.migrate(source, target, "--since-last", "--include", "app-0")
        assert len(proxy.seen) > before + 1, "a choice that was not made before proves nothing for this one"
    finally:
        proxy.stop()


def test_a_layout_that_vanished_is_told_and_what_an_unmounted_bucket_hides_is_not(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 2, 1), f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    shutil.rmtree(source / "app-0")
    assert layoutlift.migrate(source, target).findings == {("app-0", "layout_vanished")}
    assert layoutlift.plan(source, target).findings == {("app-0", "layout_vanished")}
    assert layoutlift.plan(source, target, "--exclude", "app-0").findings == set(), "it was not asked for"
    shutil.rmtree(source / "app-1")
    assert layoutlift.migrate(source, target, code=1).findings == {(".", "no_layouts")}


def test_a_repository_that_oras_emptied_is_no_broken_layout(
    layoutlift: Layoutlift, docker_registry: Registry, oras_cli: Cli, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 1, 1), f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    digest = layoutlift.listed(source)["repositories"][0]["tags"][0]["digest"]
    oras_cli("manifest", "delete", "--force", "--oci-layout", f"{source / 'app-0'}@{digest}")
    assert layoutlift.migrate(source, target).findings == {("app-0", "tag_vanished"), ("app-0", "empty_index")}
    layoutlift.check(source)


def test_ls_shows_what_a_next_run_would_bring(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 2, 2), f"{docker_registry.host}/{prefix}"
    assert len(layoutlift("ls", source, "--changed", target).stdout.splitlines()) == 4
    layoutlift.migrate(source, target)
    assert layoutlift("ls", source, "--changed", target).stdout == ""
    replace_layout(source / "app-1", v0=b"other", v2=b"new")
    lines = layoutlift("ls", source, "--changed", target).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["~ app-1:v0", "- app-1:v1", "+ app-1:v2"]
    found = layoutlift.listed(source, "--changed", target)
    assert [(c["tag"], c["change"]) for c in found["changes"]] == [("v0", "moved"), ("v1", "vanished"), ("v2", "new")]
    layoutlift.migrate(source, target)
    after = layoutlift("ls", source, "--changed", target).stdout
    assert after == ""


def test_ls_shows_what_runs_of_some_tags_left(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 1, 2), f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target, "--include", ":v0")
    lines = layoutlift("ls", source, "--changed", target).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["+ app-0:v1"]
    assert layoutlift("ls", source, "--changed", target, "--include", ":v0").stdout == ""


def test_what_vanished_is_told_by_each_run_and_no_pattern_that_fitted_it_is_mistyped(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 2, 1), f"{docker_registry.host}/{prefix}"
    replace_layout(source / "app-1", v0=b"stays", v1=b"goes")
    options = (source, target, "--include", "app-1:v1", "--since-last")
    assert layoutlift.migrate(*options).totals["copied"] == 1
    replace_layout(source / "app-1", v0=b"stays")
    assert layoutlift.migrate(*options).findings == {("app-1", "tag_vanished")}
    again = layoutlift.migrate(*options)
    assert again.findings == {("app-1", "tag_vanished")}
    assert again.totals["requests"] == 1, "the layout is unchanged, and not asked for"


def test_what_is_part_of_an_index_or_wanted_by_its_digest_stays_when_its_tag_moves(
    layoutlift: Layoutlift, any_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    """A zot lets a manifest go with its last tag, also one that an index has for a part."""
    source, target = tmp_path / "s", f"{any_registry.host}/{prefix}"
    layout = LayoutBuilder(source / "app")
    layout.index([layout.image("amd64", layers=[b"first"])], "v1")
    layout.image("latest", layers=[b"one"])
    layout.write()
    layoutlift.migrate(source, target, "--untagged", "all")
    layout = LayoutBuilder(source / "app")
    layout.index([layout.image(layers=[b"first"])], "v1")
    layout.image(layers=[b"one"])
    for tag, layer in (("amd64", b"second"), ("latest", b"two")):
        layout.image(tag, layers=[layer])
    layout.write()
    layoutlift.migrate(source, target, "--untagged", "all")
    layoutlift.verify(source, target, "--untagged", "all")
