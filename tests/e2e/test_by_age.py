"""What is too old or too new stays behind, comes when it is of age, and is never deleted for its age."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.real_parts import Registry, wait_until
from tests.support.command import Layoutlift
from tests.support.layouts import REF_NAME, LayoutBuilder, dated_image
from tests.support.registry_view import RepositoryView

DELETES = ("--delete-vanished", "--delete-max-percent", "100")
QUARANTINE = ("--older-than", "6h")
AGES = {"old": timedelta(days=900), "recent": timedelta(days=20), "fresh": timedelta(minutes=10)}


@pytest.fixture
def layout(tmp_path: Path) -> LayoutBuilder:
    """Images of three ages; the oldest and the newest are signed, just now."""
    made = LayoutBuilder(tmp_path / "s" / "app")
    for tag, age in AGES.items():
        image = dated_image(made, tag, datetime.now(UTC) - age)
        if tag != "recent":
            dated_image(made, f"{str(image['digest']).replace(':', '-')}.sig", datetime.now(UTC))
    made.write()
    return made


def test_an_age_chooses_alike_in_all_that_is_done_and_leaves_at_the_target_what_was_brought(
    layoutlift: Layoutlift, docker_registry: Registry, layout: LayoutBuilder, prefix: str, tmp_path: Path
) -> None:
    source, target = tmp_path / "s", f"{docker_registry.host}/{prefix}"
    there = RepositoryView(docker_registry, f"{prefix}/app")
    signatures = {entry["annotations"][REF_NAME]: str(entry["digest"]) for entry in layout.entries}
    digests = {tag: signatures[tag] for tag in AGES}
    expected = {"recent", "old", f"{digests['old'].replace(':', '-')}.sig"}
    assert layoutlift.plan(source, target, *QUARANTINE).outcomes == {f"app:{tag}": "to_copy" for tag in expected}
    ended = layoutlift.migrate(source, target, *QUARANTINE)
    assert (ended.report["run"]["options"]["older_than"], ended.findings) == (21_600, {("app", "too_new")})
    assert there.tags == expected
    assert set(layoutlift.verify(source, target, *QUARANTINE).outcomes) == {f"app:{tag}" for tag in expected}
    year = ("--newer-than", "365d")
    ended = layoutlift.migrate(source, target, *year, *DELETES)
    assert ended.totals["copied"] == 2
    assert ended.findings == set(), "what is too old has neither vanished, nor is it of others"
    assert there.tags == expected | {"fresh", f"{digests['fresh'].replace(':', '-')}.sig"}
    verified = layoutlift.verify(source, target, *year)
    assert (set(verified.outcomes) & {"app:old", "app:fresh", "app:recent"}, verified.findings) == (
        {"app:fresh", "app:recent"},
        set(),
    )


def test_what_comes_of_age_is_brought_though_the_source_is_unchanged(
    layoutlift: Layoutlift, docker_registry: Registry, layout: LayoutBuilder, prefix: str, tmp_path: Path
) -> None:
    """`--since-last` looks at the index, which does not change when a quarantine ends."""
    source, target = tmp_path / "s", f"{docker_registry.host}/{prefix}"
    soon = datetime.now(UTC) - timedelta(hours=6) + timedelta(seconds=15)
    dated_image(layout, "soon", soon)
    layout.write()
    line = (*QUARANTINE, "--since-last", "--exclude", ":fresh")
    assert "app:soon" not in layoutlift.migrate(source, target, *line).outcomes
    wait_until(lambda: datetime.now(UTC) > soon + timedelta(hours=6), what="the end of the quarantine")
    ended = layoutlift.migrate(source, target, *line)
    assert ended.outcomes["app:soon"] == "copied"
    assert layoutlift.migrate(source, target, *line).report["totals"]["requests"] < ended.report["totals"]["requests"]


def test_where_nothing_has_the_age_a_run_ends_well_and_says_so(
    layoutlift: Layoutlift, docker_registry: Registry, layout: LayoutBuilder, prefix: str, tmp_path: Path
) -> None:
    """A quiet week is no mistyped pattern, and no reason for an alarm; nor is anything proved to be equal."""
    assert layout.entries
    ended = layoutlift.migrate(
        tmp_path / "s", f"{docker_registry.host}/{prefix}", "--newer-than", "5m", "--include", "app:*ent"
    )
    assert (ended.outcomes, ended.findings) == ({}, {(".", "none_of_age")})
    assert ended.report["run"]["not_equal_because"].startswith("no tag was chosen")


def test_what_nothing_dates_passes_no_quarantine_and_is_named(
    layoutlift: Layoutlift, docker_registry: Registry, layout: LayoutBuilder, prefix: str, tmp_path: Path
) -> None:
    layout.image("undated", layers=[b"undated"])
    layout.write()
    silent = LayoutBuilder(tmp_path / "s" / "silent")
    silent.image("v1", layers=[b"1"])
    silent.write()
    source, target = tmp_path / "s", f"{docker_registry.host}/{prefix}"
    requests = []
    for _ in range(2):
        ended = layoutlift.migrate(source, target, *QUARANTINE, "--since-last", code=1)
        requests.append(ended.totals["requests"])
        assert ended.findings == {("app", "too_new"), ("app", "age_unknown"), ("silent", "age_unknown")}
        assert "undated" not in RepositoryView(docker_registry, f"{prefix}/app").tags
        assert not RepositoryView(docker_registry, f"{prefix}/silent").tags
    assert requests[1] == 1 < requests[0], "the mark of a layout has what was chosen, so no more is asked of it"
    ended = layoutlift.migrate(source, target, "--newer-than", "365d", "--include", "app")
    assert ended.findings == {("app", "not_dated")}
    assert ended.outcomes["app:undated"] == "copied"
