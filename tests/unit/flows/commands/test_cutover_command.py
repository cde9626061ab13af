"""`cutover -c FILE`: the options that count beside the file, and one exit code for what is proved together."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.course import cutover
from flows.files.migration_file import load_migrations
from flows.forms.cutover_parameters import CutoverParameters
from flows.forms.parameters import MigrateParameters
from tasks.oci.errors import ConfigurationError, LayoutliftError, RefusedError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text("version: 1\ndefaults: {target: 'a:1', jobs: 3}\nmappings: [{source: /one}, {source: /two}]\n")
    return path


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[CutoverParameters]:
    """The pairs that a command would cut over."""
    pairs: list[CutoverParameters] = []
    monkeypatch.setattr(cutover, "cut_over", lambda given, *_: pairs.extend(given))
    return pairs


def test_what_no_file_can_say_may_come_from_variables(file: Path, told: list[CutoverParameters]) -> None:
    """A cut-over that watches for no time, and writes no list, would end as one that did."""
    wanted = {"FROZEN_FOR": "30m", "OUTPUT": "a.csv\nb.json", "WAY_BACK": "back.csv", "OLD_REFERENCE": "{tag}"}
    variables = {f"LAYOUTLIFT_{name}": value for name, value in wanted.items()} | {"LAYOUTLIFT_JOBS": "7"}
    ended = CliRunner().invoke(main, ["cutover", "-c", str(file)], env=variables)
    said = "layoutlift: the variable LAYOUTLIFT_JOBS does nothing beside --config: "
    assert ended.stderr == f"{said}write jobs: ${{LAYOUTLIFT_JOBS}} into the file\n"
    assert [(each.source, each.jobs, each.frozen_for, each.output) for each in told] == [
        ("/one", 3, "30m", ["a.csv", "b.json"]),
        ("/two", 3, "30m", ["a.csv", "b.json"]),
    ]
    assert {(each.way_back, each.old_reference) for each in told} == {("back.csv", "{tag}")}


def test_what_is_too_new_is_proved_too_whatever_the_file_says_of_the_nightly_runs(
    file: Path, told: list[CutoverParameters]
) -> None:
    """It would be in the bucket alone, which is given up; what is not brought yet is missing at the target."""
    file.write_text(
        "version: 1\ndefaults: {target: 'a:1', newer_than: 365d, older_than: 6h}\n"
        "mappings: [{source: /one}, {source: /two, older_than: 8h}]\n"
    )
    ended = CliRunner().invoke(main, ["cutover", "-c", str(file)])
    assert (ended.exit_code, ended.output) == (0, "")
    assert [(each.newer_than, each.older_than) for each in told] == [("365d", None)] * 2
    found = load_migrations(file).runs(MigrateParameters)
    assert [each.older_than for each in found] == ["6h", "8h"]


@pytest.mark.parametrize("by", ["option", "option beside a file", "variable"])
def test_an_age_that_holds_back_is_refused(file: Path, told: list[CutoverParameters], by: str) -> None:
    places = ["-c", str(file)] if by == "option beside a file" else ["/one", "a:1"]
    option, variables = ([], {"LAYOUTLIFT_OLDER_THAN": "6h"}) if by == "variable" else (["--older-than", "6h"], {})
    ended = CliRunner().invoke(main, ["cutover", *places, *option], env=variables)
    assert (ended.exit_code, told) == (2, [])
    assert "leave it out: what is too new would stay at the source alone" in ended.stderr


@pytest.mark.parametrize(("error", "code"), [(RefusedError("written to"), 3), (ConfigurationError("no target"), 2)])
def test_all_mappings_have_the_code_of_the_one_proof(
    file: Path, monkeypatch: pytest.MonkeyPatch, error: LayoutliftError, code: int
) -> None:
    monkeypatch.setattr(cutover, "cut_over", raising(error))
    ended = CliRunner().invoke(main, ["cutover", "-c", str(file), "--json"])
    assert (ended.exit_code, ended.stderr) == (code, f"layoutlift: {error}\n")
    assert [each["exit_code"] for each in json.loads(ended.stdout)["mappings"]] == [code, code]


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("command", ["plan", "verify", "check", "cutover"])
@pytest.mark.parametrize("option", ["--report", "--metrics"])
def test_one_file_for_several_pairs_is_refused_with_what_helps(file: Path, option: str, command: str) -> None:
    """What a mapping names is written by its migration alone."""
    ended = CliRunner().invoke(main, [command, "-c", str(file), option, "r.json"])
    said = "each mapping would replace it; give each a command of its own instead"
    assert ended.stderr == f"layoutlift: {option}: {said}\n"


def test_a_source_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    for name, marker in (("one", '{"imageLayoutVersion":"1.0.0"}'), ("two", '{"imageLayoutVersion":"9"}')):
        layout = tmp_path / name / "app"
        layout.mkdir(parents=True)
        (layout / "oci-layout").write_text(marker)
        (layout / "index.json").write_text('{"schemaVersion":2,"manifests":[]}')
    file = tmp_path / "m.yaml"
    mappings = [{"source": str(tmp_path / name)} for name in ("one", "two")]
    file.write_text(json.dumps({"version": 1, "defaults": {"target": "a:1"}, "mappings": mappings}))
    ended = CliRunner().invoke(main, ["cutover", "-c", str(file)])
    assert ended.stderr.startswith(f"layoutlift: {tmp_path}/two: app: oci-layout: ")
