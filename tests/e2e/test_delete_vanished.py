"""What vanished at the source is deleted at the target: only what was brought, only within limits, only when sure."""

import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import DebianRegistry, Registry
from tests.support.command import Layoutlift
from tests.support.generated_bucket import BUCKET, GeneratedBucket
from tests.support.layouts import LayoutBuilder
from tests.support.real_parts import running
from tests.support.registry_view import RepositoryView
from tests.support.scripted_s3 import VARIABLES

ALLOWED = ("--delete-vanished", "--delete-max-percent", "100")


class KeepsEverything(DebianRegistry):
    """Distribution as it is when nobody asked for deletion."""

    def _configuration(self) -> dict[str, Any]:
        configuration = super()._configuration()
        configuration["storage"] = {**configuration["storage"], "delete": {"enabled": False}}
        return configuration


@pytest.fixture(scope="module")
def keeping_registry(tmp_path_factory: pytest.TempPathFactory) -> Generator[Registry]:
    with running(KeepsEverything(tmp_path_factory.mktemp("keeping"))) as registry:
        yield registry


def tags(registry: Registry, repository: str) -> set[str]:
    return RepositoryView(registry, repository).tags


def write(path: Path, **tags: str) -> Path:
    """A layout with a tag for each; tags of the same layer have the same digest."""
    shutil.rmtree(path, ignore_errors=True)
    layout = LayoutBuilder(path)
    images: dict[str, Any] = {}
    for tag, layer in tags.items():
        if layer in images:
            layout.entry(images[layer], tag)
        else:
            images[layer] = layout.image(tag, layers=[layer.encode()])
    layout.write()
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write(tmp_path / "s" / "app", stays="same", goes="same", moves="other")
    write(tmp_path / "s" / "whole", v1="v1")
    return tmp_path / "s"


def codes(ended: Any) -> set[tuple[str, str]]:
    """What was found, without the remarks that every run makes of what vanished."""
    return {each for each in ended.findings if each[1] not in {"tag_vanished", "layout_vanished"}}


def test_a_tag_goes_alone_and_a_layout_whole(
    layoutlift: Layoutlift, any_registry: Registry, source: Path, prefix: str
) -> None:
    target = f"{any_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    write(source / "app", stays="same", moves="other")
    shutil.rmtree(source / "whole")
    planned = layoutlift.plan(source, target, *ALLOWED)
    assert codes(planned) == {("app", "to_delete"), ("whole", "to_delete")}
    assert tags(any_registry, f"{prefix}/app") == {"stays", "goes", "moves"}
    ended = layoutlift.migrate(source, target, *ALLOWED)
    assert codes(ended) == {("app", "tag_deleted"), ("whole", "tag_deleted")}
    assert ended.report["run"]["options"]["delete_vanished"] is True
    assert tags(any_registry, f"{prefix}/app") == {"stays", "moves"}
    assert tags(any_registry, f"{prefix}/whole") == set()
    layoutlift.verify(source, target, "--depth", "content")
    assert layoutlift.migrate(source, target, *ALLOWED).findings == set(), "it is forgotten"
    write(source / "whole", v1="v1")
    assert layoutlift.migrate(source, target).totals["copied"] == 1, "it may come back"


def test_a_platform_of_an_index_stays_when_its_own_tag_goes(
    layoutlift: Layoutlift, any_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    """It may have been the last tag of that manifest."""
    source, target = tmp_path / "s", f"{any_registry.host}/{prefix}"
    layout = LayoutBuilder(source / "app")
    part = layout.image("v1-amd64", layers=[b"amd64"])
    layout.index([part, layout.image(layers=[b"arm64"], listed=False)], "v1")
    layout.write()
    layoutlift.migrate(source, target)
    layout.entries[:] = [each for each in layout.entries if each["digest"] != part["digest"]]
    layout.write()
    assert codes(layoutlift.migrate(source, target, *ALLOWED)) == {("app", "tag_deleted")}
    assert tags(any_registry, f"{prefix}/app") == {"v1"}
    layoutlift.verify(source, target, "--depth", "content")


def test_layouts_that_are_merged_into_one_repository_do_not_delete_each_other_s_tags(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tmp_path / "s", f"{docker_registry.host}/{prefix}"
    write(source / "a", a1="a1", a2="a2", both="both")
    write(source / "b", b1="b1", both="both")
    of_a = ("--include", "a", "--rename", "a=x")
    of_b = ("--include", "b", "--rename", "b=x")
    for options in (of_a, of_b):
        assert layoutlift.migrate(source, target, *options, *ALLOWED).findings == set()
    assert layoutlift.migrate(source, target, *of_a, *ALLOWED).findings == set()
    write(source / "a", a1="a1")
    write(source / "b", b1="b1", both="both")
    ended = layoutlift.migrate(source, target, *of_a, *ALLOWED)
    assert codes(ended) == {("a", "tag_deleted")}
    assert tags(docker_registry, f"{prefix}/x") == {"a1", "b1", "both"}
    write(source / "b", b1="b1")
    assert codes(layoutlift.migrate(source, target, *of_a, *ALLOWED)) == {("a", "tag_deleted")}
    shutil.rmtree(source / "a")
    layoutlift.migrate(source, target, "--rename", "b=x", *ALLOWED)
    assert tags(docker_registry, f"{prefix}/x") == {"b1"}


def test_a_name_that_another_layout_gets_is_no_reason_to_delete_what_is_still_at_the_source(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tmp_path / "s", f"{docker_registry.host}/{prefix}"
    write(source / "a", a1="a1")
    write(source / "b", b1="b1")
    layoutlift.migrate(source, target, "--rename", "a=x")
    assert layoutlift.migrate(source, target, "--rename", "a=y", "--rename", "b=x", *ALLOWED).findings == set()
    assert tags(docker_registry, f"{prefix}/x") == {"a1", "b1"}


def test_what_was_found_equal_was_pushed_by_others_and_stays(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str, tmp_path: Path
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    write(tmp_path / "theirs" / "app", goes="same")
    layoutlift.migrate(tmp_path / "theirs", target)  # another source: another ledger
    assert layoutlift.migrate(source, target).outcomes["app:goes"] == "up_to_date"
    layoutlift.migrate(source, target)
    write(source / "app", stays="same")
    ended = layoutlift.migrate(source, target, *ALLOWED)
    assert codes(ended) == {("app", "tag_deleted")}
    assert tags(docker_registry, f"{prefix}/app") == {"stays", "goes"}, "moves was brought"


def test_what_others_pushed_stays(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, tmp_path: Path, prefix: str
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    theirs = tmp_path / "theirs"
    write(theirs / "app", goes="theirs", alien="theirs")
    layoutlift.migrate(theirs, target, "--on-conflict", "overwrite")
    write(source / "app", stays="same", moves="other")
    ended = layoutlift.migrate(source, target, *ALLOWED)
    assert codes(ended) == {("app", "tag_kept")}
    assert tags(docker_registry, f"{prefix}/app") == {"stays", "goes", "moves", "alien"}


@pytest.mark.parametrize("limit", [("--delete-max-tags", "0"), ("--delete-max-percent", "20"), ()])
def test_beyond_the_limits_nothing_is_changed(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str, limit: tuple[str, ...]
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    write(source / "app", stays="same", new="new")
    planned = layoutlift.plan(source, target, "--delete-vanished", *limit, code=1)
    assert (".", "too_many_vanished") in codes(planned)
    ended = layoutlift.migrate(source, target, "--delete-vanished", *limit, code=3)
    assert (".", "too_many_vanished") in codes(ended)
    assert tags(docker_registry, f"{prefix}/app") == {"stays", "goes", "moves"}


def test_what_a_bucket_has_and_does_not_list_is_neither_deleted_nor_left_out_of_a_cut_over(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str, tmp_path: Path
) -> None:
    target, mapping = f"{docker_registry.host}/{prefix}", tmp_path / "mapping.csv"
    listed = sorted(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
    server = GeneratedBucket(listed, lambda key: (source / key).read_bytes())
    try:
        layoutlift.environment.update(VARIABLES, AWS_ENDPOINT_URL=server.url)
        layoutlift("migrate", f"s3://{BUCKET}", target, "--plain-http", "--standalone")
        listed[:] = [key for key in listed if not key.startswith("whole/")]
        planned = layoutlift("plan", f"s3://{BUCKET}", target, "--plain-http", *ALLOWED, code=1)
        assert "layout_hidden" in planned.output
        layoutlift("migrate", f"s3://{BUCKET}", target, "--plain-http", "--standalone", *ALLOWED, code=1)
        assert tags(docker_registry, f"{prefix}/whole") == {"v1"}
        ended = layoutlift("cutover", f"s3://{BUCKET}", target, "--plain-http", "--output", mapping, code=1)
        assert "layout_hidden" in ended.output
        assert not mapping.exists()
    finally:
        server.stop()


def test_a_source_that_is_not_there_deletes_nothing(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    shutil.copytree(source, kept := source.with_name("kept"))
    (source / "app" / "index.json").write_bytes(b"{")
    layoutlift.migrate(source, target, *ALLOWED, code=1)
    (source / "app" / "index.json").write_bytes(b'{"schemaVersion":2,"manifests":[{"digest":"x"}]}')
    layoutlift.migrate(source, target, *ALLOWED, code=1)
    shutil.rmtree(source)
    layoutlift.migrate(source, target, *ALLOWED, code=2)
    source.mkdir()
    layoutlift.migrate(source, target, *ALLOWED, code=1)
    assert tags(docker_registry, f"{prefix}/app") == {"stays", "goes", "moves"}
    assert tags(docker_registry, f"{prefix}/whole") == {"v1"}
    shutil.copytree(kept, source, dirs_exist_ok=True)
    assert layoutlift.migrate(source, target, *ALLOWED).totals["up_to_date"] == 4


def test_what_lay_in_a_folder_that_is_empty_now_deletes_nothing(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str
) -> None:
    """A mount of its own within the source that is gone looks so, be it one layout's or that of many."""
    target = f"{docker_registry.host}/{prefix}"
    write(source / "team" / "web", v1="v1")
    layoutlift.migrate(source, target)
    for mounted in (source / "whole", source / "team"):
        shutil.rmtree(mounted)
        mounted.mkdir()
    ended = layoutlift.migrate(source, target, *ALLOWED)
    assert codes(ended) == {("whole", "empty_folder"), ("team", "empty_folder")}
    for repository in ("whole", "team/web"):
        assert tags(docker_registry, f"{prefix}/{repository}") == {"v1"}
    for folder in (source / "whole", source / "team"):
        folder.rmdir()
    ended = layoutlift.migrate(source, target, *ALLOWED)
    assert codes(ended) == {("whole", "tag_deleted"), ("team/web", "tag_deleted")}


def test_a_run_with_problems_deletes_nothing(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    write(source / "app", stays="same", moves="other", broken="broken")
    (blob,) = [path for path in (source / "app/blobs/sha256").iterdir() if path.read_bytes() == b"broken"]
    blob.unlink()
    ended = layoutlift.migrate(source, target, *ALLOWED, code=1)
    assert (".", "not_deleted") in codes(ended)
    assert "goes" in tags(docker_registry, f"{prefix}/app")


def test_a_registry_that_does_not_delete_is_named_and_keeps_its_tags(
    layoutlift: Layoutlift, keeping_registry: Registry, source: Path, prefix: str
) -> None:
    target = f"{keeping_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    write(source / "app", stays="same", moves="other")
    before = layoutlift.verify(source, target).report["tags"]
    ended = layoutlift.migrate(source, target, *ALLOWED, code=1)
    assert codes(ended) == {("app", "deletion_unsupported")}
    assert tags(keeping_registry, f"{prefix}/app") == {"stays", "goes", "moves"}
    assert layoutlift.verify(source, target).report["tags"] == before


def test_what_is_not_chosen_stays(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    write(source / "app", stays="same")
    shutil.rmtree(source / "whole")
    ended = layoutlift.migrate(source, target, *ALLOWED, "--include", "app:m*", "--include", "app:stays")
    assert codes(ended) == {("app", "tag_deleted")}
    assert tags(docker_registry, f"{prefix}/app") == {"stays", "goes"}
    assert tags(docker_registry, f"{prefix}/whole") == {"v1"}


def test_a_layout_that_comes_back_after_some_of_its_tags_were_deleted_is_brought_again(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    write(source / "back", v1="v1", v2="v2")
    layoutlift.migrate(source, target)
    (source / "back").rename(source.parent / "away")
    layoutlift.migrate(source, target, "--include", "app", "--include", "back:v1", *ALLOWED)
    assert tags(docker_registry, f"{prefix}/back") == {"v2"}
    (source.parent / "away").rename(source / "back")
    again = layoutlift.migrate(source, target, "--since-last")
    assert (again.totals["copied"], again.totals["up_to_date"]) == (1, 5)
    assert tags(docker_registry, f"{prefix}/back") == {"v1", "v2"}


def test_a_tag_that_was_deleted_is_brought_again_by_any_layout_that_has_it(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    source, target = tmp_path / "s", f"{docker_registry.host}/{prefix}"
    write(source / "a", a1="a1", both="both")
    write(source / "b", b1="b1", both="both")
    of_a = ("--include", "a", "--rename", "a=x")
    of_b = ("--include", "b", "--rename", "b=x")
    for options in (of_b, of_a):
        layoutlift.migrate(source, target, *options)
    write(source / "a", a1="a1")
    write(source / "b", b1="b1")
    assert codes(layoutlift.migrate(source, target, *of_a, *ALLOWED)) == {("a", "tag_deleted")}
    write(source / "b", b1="b1", both="both")
    assert layoutlift.migrate(source, target, *of_b, "--since-last").outcomes["b:both"] == "copied"
    assert tags(docker_registry, f"{prefix}/x") == {"a1", "b1", "both"}
