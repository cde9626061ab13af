"""`migrate`, `plan`, `verify`, `check -c FILE`: each mapping is a run of its own, and one exit code tells of all."""

import json
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import DistributionStorage, RepositoryView


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        layout = LayoutBuilder(folder / "app")
        layout.image("v1", layers=[folder.name.encode()])
        layout.write()
    return folders


@pytest.fixture
def file(tmp_path: Path, sources: list[Path], docker_registry: Registry, prefix: str) -> Path:
    path = tmp_path / "migration.yaml"
    path.write_text(
        "version: 1\n"
        f"defaults: {{target: '{docker_registry.host}/{prefix}', plain_http: true}}\n"
        "mappings:\n"
        f"- source: {sources[0]}\n"
        f"- source: ${{SECOND}}\n"
        f"  target: {docker_registry.host}/{prefix}/second\n"
    )
    return path


def test_every_mapping_is_migrated(
    layoutlift: Layoutlift, file: Path, sources: list[Path], docker_registry: Registry, prefix: str
) -> None:
    layoutlift.environment = {"SECOND": str(sources[1])}
    ended = layoutlift("migrate", "-c", file, "--standalone", "--json")
    reports = json.loads(ended.stdout)["reports"]
    assert sum(line.startswith('{"repository"') and '"tag":' in line for line in ended.stdout.splitlines()) == 2
    assert [report["totals"]["copied"] for report in reports] == [1, 1]
    assert [report["run"]["source"] for report in reports] == list(map(str, sources))
    for name in (f"{prefix}/app", f"{prefix}/second/app"):
        assert RepositoryView(docker_registry, name).tags == {"v1"}


def test_one_that_can_not_be_done_does_not_keep_the_others_from_it(
    layoutlift: Layoutlift, file: Path, sources: list[Path], tmp_path: Path
) -> None:
    layoutlift.environment = {"SECOND": str(sources[0])}
    file.write_text(file.read_text().replace(f"- source: {sources[0]}\n", f"- source: {tmp_path}/nowhere\n"))
    ended = layoutlift("migrate", "-c", file, "--standalone", code=1)
    assert f"{tmp_path}/nowhere is not a directory" in ended.stderr
    assert "1 of 2 mappings complete" in ended.stdout
    again = layoutlift("migrate", "-c", file, "--standalone", "--dry-run", code=1)
    assert "to copy               0" in again.stdout


def test_a_mapping_that_does_not_begin_is_named_too(
    layoutlift: Layoutlift, file: Path, sources: list[Path], docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    layoutlift.environment = {"SECOND": str(sources[0])}
    file.write_text(file.read_text().replace(f"- source: {sources[0]}\n", f"- source: {tmp_path}/nowhere\n"))
    ended = layoutlift("migrate", "-c", file, "--standalone", "--json", code=1)
    told, target = json.loads(ended.stdout), f"{docker_registry.host}/{prefix}"
    assert told["mappings"] == [
        {"source": f"{tmp_path}/nowhere", "target": target, "exit_code": 2},
        {"source": str(sources[0]), "target": f"{target}/second", "exit_code": 0},
    ]
    assert [report["run"]["source"] for report in told["reports"]] == [str(sources[0])]
    first, error, second = ended.stderr.splitlines()
    assert first == f"{tmp_path}/nowhere → {target}"
    assert f"{tmp_path}/nowhere is not a directory" in error
    assert second == f"{sources[0]} → {target}/second"


def test_a_dry_run_leaves_the_reports_and_metrics_of_the_runs_as_they_are(
    layoutlift: Layoutlift, file: Path, sources: list[Path], tmp_path: Path
) -> None:
    """Who watches the metrics would be told that all went well, by a run that brought nothing."""
    layoutlift.environment = {"SECOND": str(sources[1])}
    report, metrics = tmp_path / "report.json", tmp_path / "metrics.prom"
    first = f"- source: {sources[0]}\n"
    file.write_text(file.read_text().replace(first, f"{first}  report: {report}\n  metrics: {metrics}\n"))
    layoutlift("migrate", "-c", file, "--standalone")
    before = report.read_bytes(), metrics.read_bytes()
    ended = layoutlift("migrate", "-c", file, "--dry-run")
    assert (report.read_bytes(), metrics.read_bytes()) == before
    assert str(report) not in ended.output
    file.write_text(file.read_text().partition("- source: ${")[0])
    layoutlift("migrate", "-c", file, "--dry-run", "--report", tmp_path / "plan.json")
    assert json.loads((tmp_path / "plan.json").read_text())["run"]["flow"] == "plan"


def test_every_mapping_is_verified_as_it_was_migrated(
    layoutlift: Layoutlift, file: Path, sources: list[Path], docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    layoutlift.environment = {"SECOND": str(sources[1])}
    report, metrics = tmp_path / "report.json", tmp_path / "metrics.prom"
    first = f"- source: {sources[0]}\n"
    own = f"  report: {report}\n  metrics: {metrics}\n  on_conflict: skip\n  rename: ['app=other']\n"
    file.write_text(file.read_text().replace(first, f"{first}{own}"))
    before = layoutlift("verify", "-c", file, "--standalone", code=1)
    assert before.stdout.count("(missing_at_target)") == 2
    layoutlift("migrate", "-c", file, "--standalone")
    written = report.read_bytes(), metrics.read_bytes()
    ended = layoutlift("verify", "-c", file, "--standalone", "--depth", "content", "--json")
    reports = json.loads(ended.stdout)["reports"]
    assert [report["run"]["flow"] for report in reports] == ["verify"] * 2
    assert [report["run"]["source"] for report in reports] == list(map(str, sources))
    assert [report["totals"]["up_to_date"] for report in reports] == [1, 1]
    assert (report.read_bytes(), metrics.read_bytes()) == written
    DistributionStorage(docker_registry, f"{prefix}/other").remove_tag("v1")
    assert "1 of 2 mappings complete" in layoutlift("verify", "-c", file, "--standalone", code=1).stdout


def test_a_plan_of_the_file_says_what_each_mapping_would_do(
    layoutlift: Layoutlift, file: Path, sources: list[Path], docker_registry: Registry, prefix: str
) -> None:
    layoutlift.environment = {"SECOND": str(sources[1])}
    reports = json.loads(layoutlift("plan", "-c", file, "--json").stdout)["reports"]
    assert [report["totals"]["to_copy"] for report in reports] == [1, 1]
    assert RepositoryView(docker_registry, f"{prefix}/app").tags == set()


@pytest.fixture
def half_whole(tmp_path: Path, sources: list[Path]) -> Path:
    """A file for which no registry is there; its first source has a broken layout besides, which it leaves out."""
    broken = LayoutBuilder(sources[0] / "old")
    broken.blob_path(broken.image("v1", layers=[b"lost"])).unlink()
    broken.write()
    damaged = LayoutBuilder(sources[1] / "app")
    damaged.blob_path(damaged.blob(b"two")).write_bytes(b"2wo")
    path = tmp_path / "sources.yaml"
    path.write_text(
        "version: 1\n"
        "defaults: {target: '127.0.0.1:1', on_conflict: skip, since_last: true, hours: '00:00-00:01'}\n"
        "mappings:\n"
        f"- {{source: {sources[0]}, exclude: [old], rename: [app=other], report: {tmp_path}/r.json}}\n"
        f"- {{source: {sources[1]}, depth: content, metrics: {tmp_path}/m.prom}}\n"
    )
    return path


def test_every_source_is_checked_as_it_is_migrated_and_no_target_is_asked(
    layoutlift: Layoutlift, half_whole: Path, sources: list[Path], tmp_path: Path
) -> None:
    ended = layoutlift("check", "-c", half_whole, code=1)
    assert ended.stdout.count("(digest_mismatch)") == 1
    assert "1 of 2 mappings complete" in ended.stdout
    assert [line for line in ended.stderr.splitlines() if line in map(str, sources)] == list(map(str, sources))
    told = json.loads(layoutlift("check", "-c", half_whole, "--json", code=1).stdout)
    assert [(each["run"]["flow"], each["run"]["target"]) for each in told["reports"]] == [("check", None)] * 2
    assert [(each["totals"]["up_to_date"], each["totals"]["failed"]) for each in told["reports"]] == [(1, 0), (0, 1)]
    codes = zip(map(str, sources), (0, 1), strict=True)
    assert told["mappings"] == [{"source": each, "target": None, "exit_code": code} for each, code in codes]
    assert not {tmp_path / "r.json", tmp_path / "m.prom"} & set(tmp_path.iterdir())
    assert "2 of 2 mappings complete" in layoutlift("check", "-c", half_whole, "--depth", "blobs").stdout
    assert "0 of 2 mappings complete" in layoutlift("check", "-c", half_whole, "--exclude", "none", code=1).stdout


def test_what_goes_to_two_targets_is_checked_once_and_told_of_both(
    layoutlift: Layoutlift, half_whole: Path, sources: list[Path]
) -> None:
    again = f"- {{source: {sources[1]}, depth: content, target: '127.0.0.1:2', plain_http: true}}\n"
    half_whole.write_text(half_whole.read_text() + again)
    told = json.loads(layoutlift("check", "-c", half_whole, "--json", code=1).stdout)
    assert [each["run"]["source"] for each in told["reports"]] == list(map(str, sources))
    assert [each["exit_code"] for each in told["mappings"]] == [0, 1, 1]


def test_a_mistake_anywhere_in_the_file_ends_it_before_anything_is_done(
    layoutlift: Layoutlift, file: Path, docker_registry: Registry, prefix: str
) -> None:
    ended = layoutlift("migrate", "-c", file, "--standalone", code=2)  # SECOND is not set
    assert f"{file}:5: mappings.1.source: the environment has no variable SECOND" in ended.stderr
    assert RepositoryView(docker_registry, f"{prefix}/app").tags == set()


def test_validate_says_the_same_without_a_run(layoutlift: Layoutlift, file: Path) -> None:
    assert f"{file}:5: mappings.1.source" in layoutlift("validate", file, code=2).stderr
    layoutlift.environment = {"SECOND": "/somewhere"}
    assert layoutlift("validate", file).stdout == f"{file}: a migration without mistakes\n"


@pytest.mark.parametrize("command", ["migrate", "plan", "verify"])
def test_without_a_file_source_and_target_are_needed(layoutlift: Layoutlift, command: str) -> None:
    assert "Missing argument 'TARGET'" in layoutlift(command, "/somewhere", code=2).stderr


def test_without_a_file_a_check_needs_its_source(layoutlift: Layoutlift) -> None:
    assert "Missing argument 'SOURCE'" in layoutlift("check", code=2).stderr
