"""A layout of many images is one repository for each name in its references, and each has what belongs to it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.oci import descriptor as oci
from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError, InvalidLayoutError, SourceReadError, SourceUnavailableError
from tasks.operations.source import split_source
from tasks.operations.source.split_source import SplitSource, layouts_of
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.ports import Finding, IndexFile
from tasks.stop import Stop
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.engine import Engine
from tests.support.layouts import Descriptor, LayoutBuilder
from tests.support.memory_stores import MemoryTarget

IMAGE_NAME = "io.containerd.image.name"


def split_engine(root: Path, policy: CopyPolicy | None = None, **more: Any) -> Engine:
    return Engine(root, MemoryTarget(), policy or CopyPolicy(), wrap=lambda whole: SplitSource(whole, Stop()), **more)


def split(root: Path) -> SplitSource:
    return SplitSource(LayoutDirectory(root), Stop())


@pytest.fixture(autouse=True)
def looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be read for the moment is not waited for."""
    monkeypatch.setattr(split_source, "RETRY_DELAYS", ())


def signature_tag(image: Descriptor) -> str:
    return f"{image['digest'].replace(':', '-')}.sig"


@pytest.fixture
def dump(tmp_path: Path) -> LayoutBuilder:
    return LayoutBuilder(tmp_path / "dump")


def test_each_image_goes_to_the_repository_of_its_name_without_the_host(tmp_path: Path, dump: LayoutBuilder) -> None:
    """By a whole reference as skopeo and ORAS write it, by containerd's annotation as Docker and buildx do."""
    dump.image("docker.io/library/alpine:3.19", layers=[b"alpine"])
    dump.image("registry.corp:5000/team/app:v1", layers=[b"one"])
    dump.image("quay.example/team/app:v2", layers=[b"two"])
    saved = dump.image(layers=[b"saved"], listed=False)
    dump.entry({**saved, "annotations": {IMAGE_NAME: "docker.io/library/db:1"}}, "1")
    dump.image("plain", layers=[b"plain"])
    dump.write()
    made = split_engine(tmp_path)
    outcomes, findings = made.copy()
    assert outcomes == dict.fromkeys(
        ("library/alpine:3.19", "team/app:v1", "team/app:v2", "library/db:1", "dump:plain"), "copied"
    )
    assert findings == {("team/app", "several_images")}, "two registries had it: that is worth a remark"
    assert made.target.resolve_manifest("library/db", "1") == saved["digest"]


def test_a_layout_of_one_name_and_one_of_none_are_as_they_were(tmp_path: Path) -> None:
    for path, tags in {"plain": ("v1", "v2"), "team/app": ("registry.corp/team/app:v1", "v2")}.items():
        layout = LayoutBuilder(tmp_path / path)
        for tag in tags:
            layout.image(tag, layers=[tag.encode()])
        layout.write()
    by_name, whole = split(tmp_path), LayoutDirectory(tmp_path)
    assert list(by_name.list_layouts()) == list(whole.list_layouts()) == ["plain", "team/app"]
    assert [by_name.read_index(path) for path in ("plain", "team/app")] == [
        whole.read_index(path) for path in ("plain", "team/app")
    ]


def test_what_has_no_name_goes_with_each_image_that_it_belongs_to(tmp_path: Path, dump: LayoutBuilder) -> None:
    """Platforms, referrers at any depth, cosign's tags; one image has two names, another has none."""
    platform = dump.image(layers=[b"arm"])
    index = dump.index([platform], "a.example/one:v1")
    dump.entry(index, "b.example/two:v1")
    sbom = dump.referrer(platform)
    of_sbom = dump.referrer(sbom, content=b"of the sbom")
    dump.image(signature_tag(index), layers=[b"signature"])
    other = dump.image("c.example/three:v1", layers=[b"three"])
    attached = dump.referrer(other, content=b"of three")
    own = dump.image("own", layers=[b"own"])
    of_own = dump.referrer(own, content=b"of own")
    moved = dump.image(layers=[b"moved"])
    dump.write()
    made = split_engine(tmp_path, CopyPolicy(untagged=Untagged.ALL))
    with made.run() as tree:
        tree.execute_all(tree.survey().batches)
    assert {(each.repository, each.tag) for each in made.results if each.tag is not None} == {
        *((name, tag) for name in ("one", "two") for tag in ("v1", signature_tag(index))),
        ("three", "v1"),
        ("dump", "own"),
    }
    untagged = {(each.repository, each.digest) for each in made.results if each.tag is None}
    shared = {(name, each["digest"]) for name in ("one", "two") for each in (platform, sbom, of_sbom)}
    assert untagged == shared | {
        ("three", attached["digest"]),
        ("dump", of_own["digest"]),
        ("dump", moved["digest"]),
    }


def test_referrers_come_along_without_being_asked_for(tmp_path: Path, dump: LayoutBuilder) -> None:
    image = dump.image("a.example/app:v1", layers=[b"app"])
    other = dump.image("a.example/other:v1", layers=[b"other"])
    sbom = dump.referrer(image)
    dump.write()
    made = split_engine(tmp_path)
    assert made.copy() == ({"app:v1": "copied", "other:v1": "copied"}, set())
    assert made.target.list_referrers("app", image["digest"]) == {sbom["digest"]}
    assert made.target.list_referrers("other", other["digest"]) == set()


def test_blobs_that_images_share_are_mounted_from_the_sibling(tmp_path: Path, dump: LayoutBuilder) -> None:
    for name in ("one", "two", "three"):
        dump.image(f"a.example/{name}:v1", layers=[b"base", name.encode()])
    dump.write()
    made = split_engine(tmp_path)
    made.copy()
    traffic = made.progress.totals.traffic
    assert (traffic.blobs_pushed, traffic.blobs_mounted) == (5, 4), "base and config once, the own layers"


def test_patterns_and_renames_are_for_the_names(tmp_path: Path, dump: LayoutBuilder) -> None:
    for reference in ("docker.io/library/alpine:3", "docker.io/library/db:1", "a.example/team/app:v1"):
        dump.image(reference, layers=[reference.encode()])
    dump.write()
    made = split_engine(tmp_path, include=("library/**",), exclude=("**:1",), rename=("library=mirror/hub",))
    assert made.copy() == ({"library/alpine:3": "copied"}, set())
    (result,) = made.results
    assert result.target == "memory/mirror/hub/alpine:3"


def test_one_name_in_several_layouts_is_refused_and_costs_no_other(tmp_path: Path, dump: LayoutBuilder) -> None:
    dump.image("a.example/app:v1", layers=[b"app"])
    dump.image("a.example/other:v1", layers=[b"other"])
    dump.image("a.example/team/web:v1", layers=[b"web"])
    dump.write()
    second = LayoutBuilder(tmp_path / "second")
    second.image("b.example/app:v2", layers=[b"app 2"])
    second.write()
    lies_there = LayoutBuilder(tmp_path / "team" / "web")
    lies_there.image("v2", layers=[b"web 2"])
    lies_there.write()
    made = split_engine(tmp_path)
    outcomes, findings = made.copy()
    assert outcomes == {"other:v1": "copied"}
    assert findings == {("app", "name_collision"), ("team/web", "name_collision")}
    assert not made.progress.totals.complete
    messages = {each.path: each.message for each in made.findings}
    assert "'dump', 'second'" in messages["app"]
    assert "'dump', 'team/web'" in messages["team/web"]


def test_two_contents_of_one_tag_are_refused_with_the_names_that_tell_them_apart(
    tmp_path: Path, dump: LayoutBuilder
) -> None:
    dump.image("a.example/app:v1", layers=[b"a"])
    dump.image("b.example/app:v1", layers=[b"b"])
    dump.write()
    made = split_engine(tmp_path)
    assert made.copy()[0] == {"app:v1": "tag_collision"}
    assert "a.example/app:v1" in (made.results[0].message or "")
    assert "b.example/app:v1" in (made.results[0].message or "")


def test_a_layout_that_can_t_be_read_hides_its_names_and_costs_no_other(tmp_path: Path, dump: LayoutBuilder) -> None:
    dump.image("a.example/app:v1", layers=[b"app"])
    dump.write()
    broken = LayoutBuilder(tmp_path / "broken")
    (broken.write() / "index.json").write_text("{")
    made = split_engine(tmp_path, include=("app",))
    assert made.copy() == ({"app:v1": "copied"}, {(".", "invalid_layout")})
    assert made.findings[0].message.startswith("broken: index.json is not JSON")
    assert not made.progress.totals.complete, "it may hold more of what is chosen"


@pytest.mark.parametrize("code", ["unreadable_directory", "unreadable_entry", "unusable_key"])
@pytest.mark.parametrize("chosen", [{}, {"include": ("library/**",)}, {"exclude": ("closed", "closed/**")}])
def test_a_folder_that_can_t_be_read_may_hold_any_name_whatever_the_patterns_say_of_its_own(
    tmp_path: Path, dump: LayoutBuilder, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, Any], code: str
) -> None:
    dump.image("docker.io/library/alpine:3", layers=[b"alpine"])
    dump.write()
    listed = LayoutDirectory.list_layouts
    closed = Finding("closed", code, "no permission")
    monkeypatch.setattr(LayoutDirectory, "list_layouts", lambda source: iter([closed, *listed(source)]))
    made = split_engine(tmp_path, **chosen)
    assert made.copy() == ({"library/alpine:3": "copied"}, {(".", code)})
    assert made.findings[0].message == "closed: no permission; so nobody knows which repositories it holds"
    assert not made.progress.totals.complete, "it may hold more of what is chosen"


def test_patterns_of_names_leave_out_no_word_of_a_folder_that_may_have_held_some(
    tmp_path: Path, dump: LayoutBuilder
) -> None:
    """As of a mount within the source that went away, or a layout that is being copied."""
    dump.image("docker.io/library/alpine:3", layers=[b"alpine"])
    dump.write()
    (tmp_path / "mounted").mkdir()
    (tmp_path / "copied").mkdir()
    (tmp_path / "copied" / "index.json.part").write_text("{")
    made = split_engine(tmp_path, include=("library/**",))
    assert made.copy() == ({"library/alpine:3": "copied"}, {("mounted", "empty_folder"), ("copied", "not_a_layout")})


def test_a_link_that_leaves_the_source_hides_no_name(tmp_path: Path, dump: LayoutBuilder) -> None:
    dump.image("docker.io/library/alpine:3", layers=[b"alpine"])
    dump.write()
    (tmp_path / "aside").symlink_to("/etc", target_is_directory=True)
    assert split_engine(tmp_path).copy() == ({"library/alpine:3": "copied"}, {("aside", "outside_source")})
    assert split_engine(tmp_path, exclude=("aside**",)).copy() == ({"library/alpine:3": "copied"}, set())


def test_a_broken_entry_is_named_with_its_place_in_the_whole_index(tmp_path: Path, dump: LayoutBuilder) -> None:
    dump.image("a.example/app:v1", layers=[b"app"])
    dump.image("a.example/other:v1", layers=[b"other"])
    dump.entry({"mediaType": "application/x", "digest": "nonsense", "size": 1}, "a.example/other:v2")
    dump.write()
    made = split_engine(tmp_path)
    assert made.copy()[0] == {"app:v1": "copied", "other:v1": "copied", "other:a.example/other:v2": "invalid_digest"}
    assert any("manifests[2]" in (each.message or "") for each in made.results)


def failing_once(root: Path, method: str, error: Exception, **more: Any) -> SplitSource:
    """A source that fails at the first call of one of its methods."""
    whole = LayoutDirectory(root)

    def fail(*_: object) -> None:
        delattr(whole, method)
        raise error

    setattr(whole, method, fail)
    return SplitSource(whole, Stop(), **more)


def test_where_a_referrer_can_t_be_read_for_the_moment_nobody_guesses_whose_it_is(
    tmp_path: Path, dump: LayoutBuilder
) -> None:
    dump.referrer(dump.image("a.example/app:v1", layers=[b"app"]))
    dump.write()
    source = failing_once(tmp_path, "blob", SourceReadError("for the moment"))
    (finding,) = source.list_layouts()
    assert finding == Finding(".", "source_read", "dump: for the moment; so nobody knows which repositories it holds")
    assert list(source.list_layouts()) == ["app"]


@pytest.mark.parametrize("method", ["read_index", "blob"])
def test_what_can_t_be_read_for_the_moment_is_looked_at_again(
    tmp_path: Path, dump: LayoutBuilder, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a layout that is one repository: else all the names of a dump would be missing from a run."""
    dump.referrer(dump.image("a.example/app:v1", layers=[b"app"]))
    dump.write()
    monkeypatch.setattr(split_source, "RETRY_DELAYS", (0.0,))
    source = failing_once(tmp_path, method, SourceReadError("for the moment"))
    assert list(source.list_layouts()) == ["app"]


def test_a_run_that_is_told_to_stop_reads_no_further_index(tmp_path: Path, dump: LayoutBuilder) -> None:
    dump.image("a.example/app:v1", layers=[b"app"])
    dump.write()
    stop = Stop()
    source = SplitSource(LayoutDirectory(tmp_path), stop)
    stop.set()
    with pytest.raises(InterruptedRunError):
        list(source.list_layouts())


def test_a_part_of_a_run_looks_at_the_layouts_that_it_is_told_of_and_at_no_others(
    tmp_path: Path, dump: LayoutBuilder
) -> None:
    image = oci.Descriptor.from_json(dump.image("a.example/app:v1", layers=[b"app"]))
    dump.write()
    plain = LayoutBuilder(tmp_path / "plain")
    plain.image("v1", layers=[b"plain"])
    plain.write()
    whole = split(tmp_path)
    assert layouts_of(whole, ["app", "plain"]) == {"app": "dump", "plain": "plain"}
    assert layouts_of(LayoutDirectory(tmp_path), ["plain"]) == {}, "there, paths say it"
    told = failing_once(tmp_path, "list_layouts", AssertionError("it searched"), layouts=["dump"])
    assert told.read_index("app") == whole.read_index("app")
    assert told.blob("app", image).read()
    with pytest.raises(InvalidLayoutError):
        told.read_index("plain")


def test_what_a_part_does_not_find_may_be_in_the_layout_that_it_can_t_read(
    tmp_path: Path, dump: LayoutBuilder
) -> None:
    dump.write()
    source = failing_once(tmp_path, "read_index", SourceReadError("for the moment"), layouts=["dump"])
    with pytest.raises(SourceReadError, match="for the moment"):
        source.read_index("app")


def test_a_damaged_layout_may_still_have_content_of_a_repository_that_it_held(
    tmp_path: Path, dump: LayoutBuilder
) -> None:
    """Else its tags would be taken for those of a layout that is gone."""
    app = oci.Descriptor.from_json(dump.image("a.example/app:v1", layers=[b"app"]))
    dump.write()
    (tmp_path / "dump" / "index.json").write_text("{")
    source = split(tmp_path)
    with pytest.raises(InvalidLayoutError):
        source.read_index("app")
    assert source.stat_blob("app", app.digest) is not None
    assert source.stat_blob("app", Digest.of(b"other")) is None


def test_content_that_a_repository_lacks_is_not_looked_for_in_a_damaged_layout(
    tmp_path: Path, dump: LayoutBuilder
) -> None:
    """A check would say that all is there, and a copy find that it is not."""
    dump.image("a.example/app:v1", layers=[b"app"])
    dump.write()
    damaged = LayoutBuilder(tmp_path / "damaged")
    other = oci.Descriptor.from_json(damaged.image("v1", layers=[b"other"]))
    damaged.write()
    (tmp_path / "damaged" / "index.json").write_text("{")
    source = split(tmp_path)
    assert source.stat_blob("app", other.digest) is None
    assert source.stat_blob("unknown", other.digest) is not None


def test_a_source_that_is_gone_is_no_finding(tmp_path: Path, dump: LayoutBuilder) -> None:
    dump.write()
    source = failing_once(tmp_path, "read_index", SourceUnavailableError("gone"))
    with pytest.raises(SourceUnavailableError):
        list(source.list_layouts())


def test_a_mark_follows_the_entries_of_its_own_repository_alone(tmp_path: Path, dump: LayoutBuilder) -> None:
    def marks() -> dict[str, str]:
        return {path: source.read_index(path).etag for path in source.list_layouts() if isinstance(path, str)}

    source = split(tmp_path)
    image = dump.image("a.example/app:v1", layers=[b"app"])
    dump.image("a.example/other:v1", layers=[b"other"])
    dump.write()
    before = marks()
    dump.referrer(image)
    dump.write()
    after = marks()
    assert {path for path in before if before[path] != after[path]} == {"app"}
    dump.image("a.example/new:v1", layers=[b"new"])
    dump.write()
    assert marks().keys() - after.keys() == {"new"}


def test_an_index_is_as_it_was_listed_and_a_name_that_went_is_not_there(tmp_path: Path, dump: LayoutBuilder) -> None:
    source = split(tmp_path)
    dump.image("a.example/app:v1", layers=[b"app"])
    dump.write()
    read = source.read_index("app")
    dump.entries.clear()
    dump.image("a.example/other:v1", layers=[b"other"])
    dump.write()
    assert source.read_index("app") == read
    assert list(source.list_layouts()) == ["other"]
    with pytest.raises(InvalidLayoutError, match="no layout of the source holds images of this name"):
        source.read_index("app")


def test_a_layout_without_names_to_which_one_came_since_is_not_taken_for_one_repository(
    tmp_path: Path, dump: LayoutBuilder
) -> None:
    source = split(tmp_path)
    dump.image("v1", layers=[b"app"])
    dump.write()
    assert list(source.list_layouts()) == ["dump"]
    dump.image("v2", layers=[b"app 2"])
    dump.write()
    assert len(_entries(source.read_index("dump"))) == 2
    dump.image("a.example/other:v1", layers=[b"other"])
    dump.write()
    with pytest.raises(SourceReadError, match="came into it since"):
        source.read_index("dump")


def _entries(file: IndexFile) -> list[Any]:
    return list(json.loads(file.raw)["manifests"])


def test_content_is_read_and_looked_at_in_the_layout_that_has_it(tmp_path: Path, dump: LayoutBuilder) -> None:
    image = oci.Descriptor.from_json(dump.image("a.example/app:v1", layers=[b"app"]))
    dump.write()
    source = split(tmp_path)
    assert source.blob("app", image).read()
    assert source.stat_blob("app", image.digest) is not None
    assert source.stat_blob("other", image.digest) is None
    dump.entries.clear()
    dump.image("a.example/other:v1", layers=[b"other"])
    dump.write()
    assert list(source.list_layouts()) == ["other"]
    assert source.blob("app", image).read(), "a worker may be at it still"
