"""Replacements name what was verified and nothing else; a source that changes is refused by name."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError, InvalidLayoutError, RefusedError
from tasks.operations.choosing.selection import Selection
from tasks.operations.in_step.replacements import (
    OLD_REFERENCE,
    Replacement,
    check_template,
    refuse_changes,
    refuse_shared_names,
    refuse_two_ways_back,
    replacements,
)
from tasks.operations.reports.results import Depth, Outcome, TagResult
from tasks.operations.source.index_marks import index_marks
from tasks.ports import Finding
from tests.support.memory_stores import MemorySource

ONE = Digest.of(b"one")


def result(repository: str, tag: str | None, verified: Depth | None = Depth.BLOBS) -> TagResult:
    return TagResult(repository, tag, ONE, "application/x", f"r.example/app:{tag}", Outcome.UP_TO_DATE, verified)


def test_only_verified_tags_that_people_write_down_are_replaced() -> None:
    results = [
        result("Team App", "v1"),
        result("Team App", None),
        result("Team App", "v2", verified=None),
        result("Team App", f"sha256-{'a' * 64}"),
        result("Team App", f"sha256-{'a' * 64}.sig"),
    ]
    (found,) = replacements(results, "/mnt/bucket/")
    assert (found.old, found.new) == ("/mnt/bucket/Team App:v1", f"r.example/app:v1@{ONE}")


def test_a_tag_that_is_made_of_its_own_digest_is_one_that_people_write_down() -> None:
    (found,) = replacements([result("app", f"sha256-{ONE.encoded}")], "/mnt/bucket/")
    assert found.new.endswith(f"@{ONE}")


def test_an_old_reference_that_two_new_ones_have_is_refused_by_name() -> None:
    both = [result("app", "v1"), replace(result("web", "v1"), target="r.example/web:v1")]
    refuse_shared_names(replacements(both, "s3://bucket"))
    with pytest.raises(ConfigurationError, match=r"app:v1@.* and r.example/web:v1@.* the one name old/app:v1;"):
        refuse_shared_names(replacements(both, "s3://bucket", "old/app:{tag}"))


@pytest.mark.parametrize("missing", ["digest", "target", "verified", "tag"])
def test_what_is_not_known_of_a_tag_makes_no_replacement(missing: str) -> None:
    whole = result("app", "v1")
    assert len(replacements([whole, replace(whole, **{missing: None})], "s3://bucket")) == 1


def test_replacements_come_in_the_same_order_whatever_was_verified_first() -> None:
    results = [result("b", "v1"), result("a", "v2"), result("a", "v1")]
    found = [each.old for each in replacements(results, "s3://bucket")]
    assert found == ["s3://bucket/a:v1", "s3://bucket/a:v2", "s3://bucket/b:v1"]
    assert [each.old for each in replacements(reversed(results), "s3://bucket")] == found


@pytest.mark.parametrize("template", ["{source}/{repo}:{tag}", "{source}/{repository}", "bucket:{TAG}"])
def test_a_template_that_can_not_tell_tags_apart_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"\{tag\}"):
        check_template(template)


@pytest.mark.parametrize(
    "template",
    [OLD_REFERENCE, "oci:{repository}:{tag}", "${BUCKET}/app:{tag}", "{{ .url }}:{tag}", "{{url}}/a:{tag}"],
)
def test_a_template_may_hold_what_others_fill_in(template: str) -> None:
    check_template(template)


def test_a_layout_that_is_the_source_itself_has_no_path() -> None:
    (found,) = replacements([result(".", "v1")], "s3://bucket/app")
    assert found.old == "s3://bucket/app:v1"


@pytest.mark.parametrize("before", ["", "oci:", "docker.io/", "{source}:"])
def test_a_layout_that_is_the_source_itself_goes_by_its_own_name_where_a_template_has_that(before: str) -> None:
    template = f"{before}{{repository}}:{{tag}}"
    (found,) = replacements([result(".", "v1")], "/mnt/app", template, own_name="app")
    assert found.old == f"{before.replace('{source}', '/mnt/app')}app:v1"


@pytest.mark.parametrize("after", [{"a": "2"}, {}, {"a": "1", "b": "1"}])
def test_an_index_that_changed_came_or_went_is_refused(after: dict[str, str]) -> None:
    with pytest.raises(RefusedError, match=r"^/s is still written to: [ab] changed"):
        refuse_changes("/s", {"a": "1"}, after)


def test_a_new_reference_never_leads_back_to_two_old_ones() -> None:
    """As where a bucket and its copy go to one target."""
    found = [Replacement(f"/{name}/app:v1", "r/app:v1@sha256:1", "sha256:1") for name in ("one", "two")]
    refuse_two_ways_back(found[:1])
    with pytest.raises(ConfigurationError, match="r/app:v1@sha256:1 stand for /one/app:v1 and /two/app:v1"):
        refuse_two_ways_back(found)


def test_a_source_that_is_still_is_not_refused() -> None:
    refuse_changes("/s", {"a": "1"}, {"a": "1"})


def test_layouts_that_changed_are_counted_and_the_first_named() -> None:
    for count, rest in ((5, " changed"), (7, " and 2 more changed")):
        after = {f"l{number}": "1" for number in range(count)}
        with pytest.raises(RefusedError, match=re.escape(f"l0, l1, l2, l3, l4{rest}; no file")):
            refuse_changes("/s", {}, after)


class Source(MemorySource):
    """Layouts, and a place that can't be looked into."""

    def __init__(self, *paths: str) -> None:
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": b'{"manifests":[]}'}
        super().__init__({f"{path}/{name}": raw for path in paths for name, raw in files.items()})

    def list_layouts(self) -> Iterator[str | Finding]:
        yield from super().list_layouts()
        yield Finding("closed", "source_read", "no permission")


def test_only_layouts_of_which_something_may_be_chosen_are_watched() -> None:
    marks = index_marks(Source("app", "web", "other"), Selection.parse(["app:v*", "web"], []))
    assert marks.keys() == {"app", "web"}
    assert all(marks.values())


def test_an_index_that_can_not_be_read_is_no_sign_that_nobody_writes() -> None:
    source = Source("app")
    source.read_index = lambda _: MemorySource({}).read_index("app")  # type: ignore[method-assign]
    with pytest.raises(InvalidLayoutError, match="app: oci-layout is missing"):
        index_marks(source, Selection())
