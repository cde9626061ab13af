"""A variable that looks like one of ours and is none is named: what it was to limit is not limited."""

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows import cli
from flows.cli import main
from flows.commands.known_variables import OF_NO_OPTION, PREFIX, variables_of
from flows.files.migration_file import MigrationSettings, load_migrations

ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def _none_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def warned(*names: str) -> list[str]:
    ended = CliRunner().invoke(main, ["ls", "/nowhere/at/all"], env=dict.fromkeys(names, "1"))
    assert ended.exit_code == 2
    *said, error = ended.stderr.splitlines()
    assert error.endswith("is the bucket mounted there?"), "what is asked for is done all the same"
    return said


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("EXCLUD", "EXCLUDE"),
        ("PLAINHTTP", "PLAIN_HTTP"),
        ("DELETE_MAX_TAG", "DELETE_MAX_TAGS"),
        ("PASSWORD", "TARGET_PASSWORD"),
        ("USERNAME", "TARGET_USERNAME"),
        ("SOURCE_TIMEOUTS", "SOURCE_TIMEOUT"),
    ],
)
def test_a_mistyped_variable_is_named_with_the_one_that_is_meant(mistyped: str, meant: str) -> None:
    assert warned(f"LAYOUTLIFT_{mistyped}") == [
        f"layoutlift: no option is read from the variable LAYOUTLIFT_{mistyped}; is LAYOUTLIFT_{meant} meant?"
    ]


def test_a_variable_that_is_like_none_is_named_without_a_guess() -> None:
    assert warned("LAYOUTLIFT_INSECURE") == ["layoutlift: no option is read from the variable LAYOUTLIFT_INSECURE"]


def test_a_name_can_not_steer_the_terminal() -> None:
    assert warned("LAYOUTLIFT_\x1b[2J")[0].startswith(
        "layoutlift: no option is read from the variable LAYOUTLIFT_\\x1b"
    )


@pytest.mark.parametrize(
    "name",
    [
        "LAYOUTLIFT_POLICY",  # of another command
        "LAYOUTLIFT_DEBUG",
        "LAYOUTLIFT_SERVICE_HOST",  # of Kubernetes
        "LAYOUTLIFT_WORKER_SERVICE_PORT_HTTP",
        "LAYOUTLIFT_PORT",
        "LAYOUTLIFT_PORT_5000_TCP_ADDR",
        "layoutlift_jobs",
        *sorted(OF_NO_OPTION),
    ],
)
def test_what_is_no_mistake_is_not_named(name: str) -> None:
    assert warned(name) == []


def test_commands_are_not_loaded_for_variables_of_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "import_module", pytest.fail)
    assert warned("LAYOUTLIFT_STATE", "LAYOUTLIFT_JOBS", "LAYOUTLIFT_TOOLS") == []


def unheeded(*options: str, command: str = "migrate", **variables: str) -> list[str]:
    ended = CliRunner().invoke(main, [command, "-c", "/nowhere.yaml", *options], env=variables)
    assert ended.exit_code == 2
    *said, _ = ended.stderr.splitlines()
    return said


def test_a_variable_in_whose_place_a_file_of_migrations_speaks_is_named() -> None:
    """A limit that is set for all that somebody runs would silently be none."""
    told = {"LAYOUTLIFT_LIMIT_RATE": "5M", "LAYOUTLIFT_TARGET_USERNAME": "me", "LAYOUTLIFT_TARGET_PASSWORD": "x"}
    said = "layoutlift: the variable LAYOUTLIFT_LIMIT_RATE does nothing beside --config: "
    assert unheeded(**told) == [f"{said}write limit_rate: ${{LAYOUTLIFT_LIMIT_RATE}} into the file"]
    assert unheeded("--limit-rate", "1M", **told) == []


VALUES = {
    "backup_tag": "old-{tag}",
    "depth": "manifest",
    "endpoint_url": "http://127.0.0.1",
    "hours": "22:00-06:00",
    "include": "app",
    "lock_timeout": "1h",
    "newer_than": "90d",
    "older_than": "6h",
    "on_conflict": "skip",
    "order_by": "semver",
    "registry_kind": "harbor",
    "rename": "a=b",
    "untagged": "all",
}
"""Of options that do not take a number, a switch or any text."""
NEEDED = {
    "order_by": "  newest: 1",
    "immutable_tags": "  create_repositories: true",
    "scan_on_push": "  create_repositories: true",
}


@pytest.mark.parametrize("name", sorted(MigrationSettings.model_fields.keys() - {"source", "target"}))
def test_the_line_that_is_advised_for_a_variable_is_right(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable, value = f"LAYOUTLIFT_{name.upper()}", VALUES.get(name, "1")
    (said,) = unheeded(**{variable: value})
    line = said.partition(": write ")[2].removesuffix(" into the file")
    file = tmp_path / "m.yaml"
    file.write_text(
        f"version: 1\nmappings:\n- {{source: /a, target: 'b:1'}}\ndefaults:\n  {line}\n{NEEDED.get(name, '')}\n"
    )
    monkeypatch.setenv(variable, value)
    assert getattr(load_migrations(file).defaults, name) in (value, [value], True, 1)


@pytest.mark.parametrize(("name", "value"), [("SHARDS", "2"), ("TASK_RUNNER", "dask"), ("DASK_SCHEDULER", "x:1")])
def test_a_variable_that_no_file_has_a_field_for_is_said_to_be_that(name: str, value: str) -> None:
    said = f"layoutlift: the variable LAYOUTLIFT_{name} does nothing beside --config, which has no such field"
    assert unheeded(**{f"LAYOUTLIFT_{name}": value}) == [said]


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("cutover", "older_than"),
        *((command, name) for command in ("plan", "verify", "check", "cutover") for name in ("report", "metrics")),
    ],
)
def test_no_line_is_advised_that_the_command_would_pass_over(command: str, name: str) -> None:
    variable = f"LAYOUTLIFT_{name.upper()}"
    said = f"layoutlift: the variable {variable} does nothing beside --config, from which this run takes no {name}"
    assert unheeded(command=command, **{variable: VALUES.get(name, "file")}) == [said]


def test_so_it_is_beside_a_migration_that_is_only_planned() -> None:
    (said,) = unheeded("--dry-run", LAYOUTLIFT_REPORT="r.json")
    assert said.endswith("does nothing beside --config, from which this run takes no report")


@pytest.mark.parametrize("command", ["migrate", "check"])
def test_what_such_a_run_does_take_is_advised(command: str) -> None:
    (said,) = unheeded(command=command, LAYOUTLIFT_OLDER_THAN="6h")
    assert said.endswith(": write older_than: ${LAYOUTLIFT_OLDER_THAN} into the file")


def test_a_variable_of_several_lines_is_to_be_several_entries() -> None:
    said = "layoutlift: the variable LAYOUTLIFT_INCLUDE does nothing beside --config: "
    assert unheeded(LAYOUTLIFT_INCLUDE="a\nb") == [f"{said}write its lines into the file, as entries of include"]


def test_a_variable_that_counts_beside_a_file_is_not_named() -> None:
    assert unheeded(LAYOUTLIFT_STANDALONE="1", LAYOUTLIFT_DEBUG="0") == []


@pytest.mark.parametrize("option", [("--shards", "2"), ("--task-runner", "dask")])
def test_what_no_file_can_say_can_not_be_typed_beside_one(tmp_path: Path, option: tuple[str, str]) -> None:
    file = tmp_path / "m.yaml"
    file.write_text("version: 1\nmappings: [{source: /a, target: 'b:1'}]\n")
    ended = CliRunner().invoke(main, ["migrate", "-c", str(file), *option])
    assert ended.exit_code == 2
    assert (
        ended.stderr == f"layoutlift: {option[0]} does not go with --config, whose mappings take one process each\n"
    )


def test_every_variable_that_the_pages_and_files_name_is_known() -> None:
    context = cli.click.Context(main)
    known = OF_NO_OPTION.union(variables_of(main, main.list_commands(context)))
    files = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("infra/**/*.y*ml")]
    files += [*ROOT.glob("infra/systemd/*"), *ROOT.glob("deployments/**/*.*")]
    files = [file for file in files if file.parent.name != "__pycache__"]  # of whoever ran deployments.check
    named = {name for file in files for name in re.findall(r"(?<!_)LAYOUTLIFT_[A-Z_]*[A-Z]", file.read_text())}
    assert len(named) > 20
    assert named <= known
