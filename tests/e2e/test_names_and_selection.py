"""Which repositories and tags go, and what they are called at the target."""

from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import RepositoryView, everything_tagged


@pytest.fixture
def target(docker_registry: Registry, prefix: str) -> str:
    return f"{docker_registry.host}/{prefix}"


def write(root: Path, **tags: str) -> None:
    """Repositories with tags: `write(root, **{"team/app": "v1 v2"})`."""
    for path, names in tags.items():
        layout = LayoutBuilder(root / path)
        for tag in names.split():
            layout.image(tag, layers=[f"{path}:{tag}".encode()])
        layout.write()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    write(root, **{"team/app": "v1.0.0 v1.1.0 v2.0.0-rc1 latest", "team/app/web": "v1.0.0", "tools": "nightly-1 1.2"})
    return root


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--include team/*", "team/app:v1.0.0 team/app:v1.1.0 team/app:v2.0.0-rc1 team/app:latest"),
        ("--include team/**:v1.0.0", "team/app:v1.0.0 team/app/web:v1.0.0"),
        ("--include :semver:>=1.1", "team/app:v1.1.0"),
        ("--include :regex:nightly-[0-9]+|latest", "tools:nightly-1 team/app:latest"),
        ("--include team/app --exclude :latest --exclude :*rc*", "team/app:v1.0.0 team/app:v1.1.0"),
        ("--exclude team/**", "tools:nightly-1 tools:1.2"),
    ],
)
def test_include_and_exclude_choose_tags(
    options: str,
    expected: str,
    layoutlift: Layoutlift,
    docker_registry: Registry,
    target: str,
    prefix: str,
    source: Path,
) -> None:
    ended = layoutlift.migrate(source, target, *options.split())
    assert ended.outcomes == dict.fromkeys(expected.split(), "copied")
    assert set(everything_tagged(docker_registry, prefix)) == set(expected.split())
    listed = layoutlift("ls", source, *options.split()).stdout.splitlines()
    assert {line.split("\t")[0] for line in listed} == set(expected.split())
    assert layoutlift.verify(source, target, *options.split()).totals["tags"] == len(expected.split())


@pytest.mark.parametrize("pattern", ["taem/**", "team/app:v7"])
def test_patterns_that_fit_nothing_are_a_problem_of_every_command(
    pattern: str, layoutlift: Layoutlift, target: str, source: Path, tmp_path: Path
) -> None:
    for run in (layoutlift.plan, layoutlift.migrate, layoutlift.verify):
        ended = run(source, target, "--include", pattern, code=1)
        assert ended.findings == {(".", "nothing_chosen")}
        assert "equal at" not in ended.stdout
    assert layoutlift.check(source, "--include", pattern, code=1).findings == {(".", "nothing_chosen")}
    (found,) = layoutlift.listed(source, "--include", pattern, code=1)["findings"]
    assert found["code"] == "nothing_chosen"
    files = tmp_path / "typo.csv"
    layoutlift("cutover", source, target, "--plain-http", "--include", pattern, "--output", files, code=1)
    assert not files.exists()


def test_a_pattern_that_fits_nothing_is_named_by_every_command_where_another_one_fits(
    layoutlift: Layoutlift, target: str, source: Path
) -> None:
    options = ("--include", "team/app", "--include", "tools:v7", "--include", "ghcr.io/team/**")
    unused = {("tools:v7", "include_unused"), ("ghcr.io/team/**", "include_unused")}
    for run in (layoutlift.plan, layoutlift.migrate, layoutlift.verify):
        assert run(source, target, *options).findings == unused
    assert layoutlift.check(source, *options).findings == unused
    found = layoutlift.listed(source, *options)["findings"]
    assert {(each["path"], each["code"]) for each in found} == unused


def test_changes_of_layouts_that_are_not_there_are_a_problem(
    layoutlift: Layoutlift, target: str, source: Path
) -> None:
    (found,) = layoutlift.listed(source, "--changed", target, "--include", "taem/**", code=1)["findings"]
    assert found["code"] == "nothing_chosen"


def test_patterns_that_take_a_layout_without_tags_are_no_problem(
    layoutlift: Layoutlift, target: str, source: Path
) -> None:
    write(source, empty="")
    for run in (layoutlift.migrate, layoutlift.verify):
        assert run(source, target, "--include", "empty").findings == {("empty", "empty_index")}


def test_rename_moves_a_repository_and_all_below_it(
    layoutlift: Layoutlift, docker_registry: Registry, target: str, prefix: str, source: Path
) -> None:
    options = ("--rename", "team/app=products/main", "--rename", "tools=tools/cli")
    ended = layoutlift.migrate(source, target, "--exclude", ":v*", *options)
    assert ended.outcomes == dict.fromkeys(("team/app:latest", "tools:nightly-1", "tools:1.2"), "copied")
    assert ended.rows["team/app", "latest"]["target"] == f"{target}/products/main:latest"
    layoutlift.migrate(source, target, "--include", "team/app/web", *options)
    arrived = {"products/main:latest", "products/main/web:v1.0.0", "tools/cli:nightly-1", "tools/cli:1.2"}
    assert set(everything_tagged(docker_registry, prefix)) == arrived
    layoutlift.verify(source, target, "--exclude", "team/app:v*", *options)


def test_rename_settles_a_collision(
    layoutlift: Layoutlift, docker_registry: Registry, target: str, prefix: str, tmp_path: Path
) -> None:
    write(tmp_path, **{"Team App": "v1", "team-app": "v1"})
    assert set(layoutlift.migrate(tmp_path, target, code=1).outcomes.values()) == {"name_collision"}
    assert everything_tagged(docker_registry, prefix) == {}
    layoutlift.migrate(tmp_path, target, "--rename", "Team App=other")
    assert set(everything_tagged(docker_registry, prefix)) == {"other:v1", "team-app:v1"}


def test_strict_names_refuse_instead_of_mapping(
    layoutlift: Layoutlift, docker_registry: Registry, target: str, prefix: str, tmp_path: Path
) -> None:
    write(tmp_path, **{"Team App": "v1", "good": "v1"})
    ended = layoutlift.migrate(tmp_path, target, "--strict-names", code=1)
    assert ended.outcomes == {"Team App:v1": "invalid_reference", "good:v1": "copied"}
    assert set(everything_tagged(docker_registry, prefix)) == {"good:v1"}
    assert layoutlift.migrate(tmp_path, target).rows["Team App", "v1"]["target"] == f"{target}/team-app:v1"


def test_a_refused_name_ends_a_run_that_is_to_fail_fast_as_any_other_problem(
    layoutlift: Layoutlift, docker_registry: Registry, target: str, prefix: str, tmp_path: Path
) -> None:
    write(tmp_path / "one", **{"Team App": "v1", "good": "v1"})
    options = ("--strict-names", "--fail-fast")
    ended = layoutlift.migrate(tmp_path / "one", target, *options, code=1)
    assert ended.outcomes == {"Team App:v1": "invalid_reference"}
    assert ended.findings == {("Team App", "invalid_reference"), ("good", "interrupted")}
    write(tmp_path / "two", other="v1")
    mappings = "".join(f"- {{source: {tmp_path}/{each}, target: {target}-{each}}}\n" for each in ("one", "two"))
    (tmp_path / "m.yaml").write_text(f"version: 1\ndefaults: {{plain_http: true}}\nmappings:\n{mappings}")
    layoutlift("migrate", "-c", tmp_path / "m.yaml", *options, "--standalone", code=1)
    assert set(everything_tagged(docker_registry, f"{prefix}-two")) == {"other:v1"}


def test_a_name_that_is_not_selected_is_no_problem(
    layoutlift: Layoutlift, docker_registry: Registry, target: str, prefix: str, tmp_path: Path
) -> None:
    write(tmp_path, **{"Team App": "v1", "good": "v1 v1+bad"})
    LayoutBuilder(tmp_path / "broken").write()
    (tmp_path / "broken" / "index.json").write_bytes(b"")
    ended = layoutlift.migrate(tmp_path, target, "--strict-names", "--include", "good:v1")
    assert ended.outcomes == {"good:v1": "copied"}
    assert set(everything_tagged(docker_registry, prefix)) == {"good:v1"}


@pytest.mark.parametrize(
    ("untagged", "expected"), [("none", set()), ("moved", {"moved"}), ("all", {"moved", "child", "lonely"})]
)
def test_untagged_manifests_go_as_the_option_says(
    untagged: str,
    expected: set[str],
    layoutlift: Layoutlift,
    docker_registry: Registry,
    target: str,
    prefix: str,
    tmp_path: Path,
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    child = layout.image(layers=[b"child"])
    layout.index([child], "v1")
    moved = layout.image(layers=[b"moved"])
    nowhere = layout.image(layers=[b"of a subject that is gone"], listed=False)
    lonely = layout.referrer(nowhere)
    layout.write()
    ended = layoutlift.migrate(tmp_path, target, "--untagged", untagged)
    repository = RepositoryView(docker_registry, f"{prefix}/app")
    digests = {"moved": moved["digest"], "child": child["digest"], "lonely": lonely["digest"]}
    rows = {row["digest"] for row in ended.report["tags"] if row["tag"] is None}
    assert rows == {digests[name] for name in expected}
    present = {name for name, digest in digests.items() if repository.digest(digest) is not None}
    assert present == expected | {"child"}
    kinds = {each["digest"]: each["kind"] for each in layoutlift.listed(tmp_path)["repositories"][0]["untagged"]}
    assert kinds == {digests["moved"]: "moved", digests["child"]: "child", digests["lonely"]: "referrer"}
    again = layoutlift.migrate(tmp_path, target, "--untagged", untagged)
    assert again.totals["blobs_pushed"] == 0
    assert {row["outcome"] for row in again.report["tags"]} == {"up_to_date"}


def test_a_source_that_is_itself_a_layout(
    layoutlift: Layoutlift, docker_registry: Registry, target: str, prefix: str, tmp_path: Path
) -> None:
    write(tmp_path, **{"My App": "v1", "My App/below": "v2"})
    ended = layoutlift.migrate(tmp_path / "My App", target)
    assert ended.outcomes == {".:v1": "copied", "below:v2": "copied"}
    assert set(everything_tagged(docker_registry, prefix)) == {"my-app:v1", "below:v2"}
    assert layoutlift("ls", tmp_path / "My App").stdout.split("\t")[0] == ".:v1"
    layoutlift.verify(tmp_path / "My App", target, "--depth", "content")


def test_a_registry_without_a_prefix(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    write(tmp_path, **{f"{prefix}/app": "v1"})
    layoutlift.migrate(tmp_path, docker_registry.host)
    assert set(everything_tagged(docker_registry, prefix)) == {"app:v1"}


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_the_locale_gives_no_repository_another_name(layoutlift: Layoutlift, target: str, tmp_path: Path) -> None:
    write(tmp_path, **{"ünï/çødé": "v1"})
    for line in (["ls", tmp_path], layoutlift.line("migrate", tmp_path, target)):
        assert "PYTHONUTF8=1" in layoutlift(*line, environment=ASCII, code=2).stderr
    ended = layoutlift.plan(tmp_path, target, environment=ASCII | {"PYTHONUTF8": "1"})
    assert [row["target"] for row in ended.report["tags"]] == [f"{target}/uni/cde:v1"]
