"""Only the newest of each repository comes over, what the years left behind stays, and nothing is deleted for it."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder
from tests.support.real_parts import Cli
from tests.support.registry_view import RepositoryView

Push = Callable[[str], str]
NEWEST = ("--newest", "2")
DELETES = ("--delete-vanished", "--delete-max-percent", "100")


def signature_of(digest: str) -> str:
    return f"{digest.replace(':', '-')}.sig"


@pytest.fixture
def push(oras_cli: Cli, tmp_path: Path) -> Push:
    """Push to a layout, with the time that ORAS notes set to a year; the digest."""

    def pushed(reference: str) -> str:
        (tmp_path / "file").write_text(reference)
        year = reference.partition(":v")[2][:4] or "2026"
        noted = ("--annotation", f"org.opencontainers.image.created={year}-01-01T00:00:00Z")
        place = f"{tmp_path / 's' / reference}"
        line = ("push", "--oci-layout", "--disable-path-validation", "--format", "json", *noted, place)
        return str(json.loads(oras_cli(*line, str(tmp_path / "file")))["digest"])

    return pushed


@pytest.fixture
def source(push: Push, tmp_path: Path) -> Path:
    """Four years of releases, the last two of which are signed; what signs them is newer than all of them."""
    years = {year: push(f"app:v{year}" + (",latest" if year == 2024 else "")) for year in range(2021, 2025)}
    for year in (2021, 2024):
        push(f"app:{signature_of(years[year])}")
    return tmp_path / "s"


def test_only_the_newest_come_over_and_older_ones_stay_where_they_came_earlier(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, push: Push, prefix: str, tmp_path: Path
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    there = RepositoryView(docker_registry, f"{prefix}/app")
    (listed,) = layoutlift.listed(source)["repositories"]
    digests = {each["tag"]: each["digest"] for each in listed["tags"]}
    assert len(digests) == 7
    expected = {"v2024", "latest", "v2023", signature_of(digests["v2024"])}
    planned = layoutlift.plan(source, target, *NEWEST)
    assert planned.outcomes == {f"app:{tag}": "to_copy" for tag in expected}
    ended = layoutlift.migrate(source, target, *NEWEST)
    assert ended.report["run"]["options"]["newest"] == 2
    assert there.tags == expected
    push("app:v2025")
    ended = layoutlift.migrate(source, target, *NEWEST, "--since-last", *DELETES)
    assert (ended.totals["copied"], ended.findings) == (1, set())
    assert there.tags == expected | {"v2025"}, "what is not among the newest any more has not vanished"
    layoutlift("cutover", source, target, "--plain-http", *NEWEST, "--output", tmp_path / "map.csv")
    rows = csv.DictReader((tmp_path / "map.csv").open())
    assert {row["old"].rpartition(":")[2] for row in rows} == {"v2025", "v2024", "latest"}


def test_a_repository_whose_order_nothing_tells_is_named_and_left_alone(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str
) -> None:
    layout = LayoutBuilder(source / "silent")
    for tag in ("1.9.0", "1.10.0", "1.11.0"):
        layout.image(tag, layers=[tag.encode()])
    layout.write()
    target = f"{docker_registry.host}/{prefix}"
    ended = layoutlift.migrate(source, target, *NEWEST, code=1)
    assert ended.findings == {("silent", "order_unknown")}
    assert ended.totals["copied"] == 4
    assert not RepositoryView(docker_registry, f"{prefix}/silent").tags
    semver = (*NEWEST, "--order-by", "semver", "--include", "silent")
    assert set(layoutlift.migrate(source, target, *semver).outcomes) == {"silent:1.11.0", "silent:1.10.0"}
