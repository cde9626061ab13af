"""The page on output for programs names every field that there is, and no other at a document's top."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.files.policy_example import EXAMPLE
from infra.real_parts import Registry, find_tool
from tasks.oci.digest import Digest
from tasks.operations.benchmark.data_files import _READERS
from tasks.operations.reports.report_rows import tag_row
from tasks.operations.reports.results import Depth, Outcome, TagResult
from tests.support.layouts import OCI_INDEX, LayoutBuilder
from tests.support.real_parts import Cli, skipped_where_unavailable

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "machine-output.md").read_text()
NAMED = frozenset(re.findall(r"`(\w+)`", PAGE))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with a good tag, a broken one and a layout that is none."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    layout = LayoutBuilder(tmp_path / "source" / "app")
    layout.image("v1", layers=[b"layer"])
    broken = layout.image("v2", layers=[b"other"])
    layout.write()
    (tmp_path / "source" / "app" / "blobs" / "sha256" / broken["digest"].partition(":")[2]).unlink()
    (tmp_path / "source" / "broken").mkdir()
    (tmp_path / "source" / "broken" / "oci-layout").touch()
    (tmp_path / "cleanup.yaml").write_text(EXAMPLE)
    return tmp_path / "source"


def document(*arguments: str | Path) -> dict[str, Any]:
    ended = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    found: dict[str, Any] = json.loads(ended.stdout)
    assert found["schema"] == 1
    return found


def unnamed(found: Mapping[str, Any], parts: Iterable[str] = ()) -> set[str]:
    """Fields of a document, and of these parts of it, that the page does not name."""
    rows = [found]
    for part in parts:
        rows += found[part] if isinstance(found[part], list) else [found[part]]
    return {field for row in rows for field in row} - NAMED - {"schema"}


def test_every_field_of_a_report_is_named(source: Path, docker_registry: Registry) -> None:
    target = (f"{docker_registry.host}/machine", "--plain-http")
    parts = ("run", "totals", "indexes", "tags", "findings")
    for command in (
        ("plan", source, *target),
        ("migrate", source, *target, "--standalone"),
        ("verify", source, *target, "--standalone"),
        ("check", source),
        ("zot", "check", source),
    ):
        report = document(*command)
        assert unnamed(report, parts) == set(), command
        assert set(report) == {"schema", *parts}
        assert all(report[part] for part in parts), "a part without a row proves nothing"
    changes = document("ls", source, "--changed", target[0])
    assert unnamed(changes, ("changes", "findings")) == set()


@pytest.mark.parametrize(
    ("page", "chooses"), [("machine-output", "every tag that arrived"), ("migrating", "What went to a wrong place")]
)
def test_each_reference_that_a_line_for_jq_prints_is_one(
    source: Path, docker_registry: Registry, page: str, chooses: str
) -> None:
    """As other programs take them: there is more in a report than tags."""
    layout, place = LayoutBuilder(source / "untagged"), f"{docker_registry.host}/references-{page}"
    layout.image(layers=[b"by digest"])
    layout.write()
    report = document("migrate", source, place, "--plain-http", "--standalone", "--untagged", "all")
    listed = (f"sha256-{'0' * 64}", Digest.of(b"list"), OCI_INDEX)
    report["tags"].append(tag_row(TagResult("app", *listed, None, Outcome.COPIED, Depth.MANIFEST)))
    (source.parent / "report.json").write_text(json.dumps(report))
    text = (DOCS / f"{page}.md").read_text().partition(chooses)[2]
    (line,) = re.findall(r"jq -r '([^']*)' report\.json", text.partition("# repositories")[0])
    with skipped_where_unavailable():
        jq = Cli(find_tool("jq"))
    printed = jq("-r", line, source.parent / "report.json").splitlines()
    assert len(printed) == 2
    assert any("@" in each and ":v1" not in each for each in printed)
    assert all(re.fullmatch(rf"{place}/\w+(:v1)?(@sha256:[0-9a-f]{{64}})?", each) for each in printed), printed


def test_every_field_of_a_list_is_named(source: Path) -> None:
    found = document("ls", source)
    assert unnamed(found, ("repositories", "findings")) == set()
    assert unnamed(found["repositories"][0], ("tags", "untagged")) == set()


def test_documents_of_cleanups_have_the_fields_that_are_named(source: Path) -> None:
    plan = document("cleanup", "plan", source, "--policy", source.parent / "cleanup.yaml")
    deletion = document("delete", source, "broken", "--apply", "--i-am-the-only-writer")
    for field in ("plan", "kind", "source", "created", "repositories", "totals", "beyond_limits", "findings"):
        assert field in NAMED & plan.keys() & deletion.keys()
    assert "applied" in NAMED & deletion.keys()
    assert unnamed(plan) == set()


def test_every_field_of_what_a_cleanup_did_is_named(source: Path) -> None:
    """By words of documents: entries as plans and `index.json` have them, and nothing that only we can use."""
    layout = LayoutBuilder(source / "good")
    image = layout.image("v1", layers=[b"layer"])
    layout.write()
    applied = document("delete", source, "good:v1", "--apply", "--i-am-the-only-writer")["applied"]
    undone = document("cleanup", "undo", applied["run"], "--i-am-the-only-writer")
    for done, part in ((applied, "removed"), (undone, "added")):
        (outcome,) = done["repositories"]
        assert unnamed(done, ("repositories",)) == set()
        (entry,) = outcome[part]
        assert entry["tag"] == "v1"
        assert entry["descriptor"]["digest"] == image["digest"]
        assert unnamed(outcome, ("removed", "added", "skipped", "problems")) == set()
        assert not {"is_demanded", "written", "media_type"} & {*outcome, *entry, *entry["descriptor"]}


def test_the_times_of_a_plan_are_told_apart_from_those_of_other_documents(source: Path) -> None:
    """A report's are text, and a plan's numbers."""
    layout = LayoutBuilder(source / "good")
    layout.image("v1")
    layout.write()
    plan = document("cleanup", "plan", source, "--policy", source.parent / "cleanup.yaml")
    rows = [plan, *(blob for repository in plan["repositories"] for blob in repository.get("blobs", ()))]
    numbers = {name for row in rows for name, value in row.items() if isinstance(value, float)}
    (told,) = (line for line in PAGE.splitlines() if "seconds since 1970" in line)
    assert {"created", "modified"} <= numbers
    assert all(f"`{name}`" in told for name in numbers)


def test_every_kind_of_a_line_of_a_benchmark_is_named() -> None:
    assert {"kind", *_READERS} <= NAMED


def test_a_field_that_the_page_lacks_is_seen() -> None:
    assert unnamed({"tags": [{"colour": 1}]}, ["tags"]) == {"colour"}
