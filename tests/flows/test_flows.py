"""The Prefect flows on a real local server: what its dashboard shows of a run, good or bad."""

import inspect
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.migrate import migrate
from infra.real_parts import Registry
from tests.support.command import Ended, Layoutlift
from tests.support.layouts import LayoutBuilder
from tests.support.prefect_history import PrefectHistory
from tests.support.registry_view import RepositoryView


@pytest.fixture
def dashboard(prefect_environment: dict[str, str]) -> PrefectHistory:
    return PrefectHistory.of(prefect_environment)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three repositories with two tags each."""
    for number in range(3):
        layout = LayoutBuilder(tmp_path / f"app-{number}")
        for tag in ("v1", "v2"):
            layout.image(tag, layers=[f"{number} {tag}".encode()])
        layout.write()
    return tmp_path


def outcomes_beside_run(ended: Ended) -> dict[str, Any]:
    """A report without what differs from run to run."""
    totals = {name: count for name, count in ended.totals.items() if name != "requests"}
    tags = [{**row, "target": None} for row in ended.report["tags"]]
    return {"totals": totals, "tags": tags, "findings": ended.report["findings"]}


def test_a_migration_is_a_completed_run_with_a_summary(
    lifted: Layoutlift, dashboard: PrefectHistory, docker_registry: Registry, prefix: str, source: Path
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    ended = lifted.migrate(source, target)
    assert ended.totals["copied"] == 6
    assert f"Dashboard: {dashboard.url}" in ended.stderr
    run = dashboard.the_run(f"{source} → {target}")
    assert (run["state_type"], run["state_name"]) == ("COMPLETED", "Completed")
    artifacts = dashboard.artifacts(run)
    for key, told in (("migrate-tags", "6 of 6 tags"), ("migrate-bytes", " sent")):
        assert artifacts[key]["data"] == 100.0
        assert told in artifacts[key]["description"]
    summary = artifacts["migrate-summary"]["data"]
    assert "Complete: 6 tags" in summary
    assert "migrate-problems" not in artifacts
    (task,) = dashboard.tasks(run)
    assert task["name"].startswith("migrate app-0 and 2 more")
    assert task["state_type"] == "COMPLETED"
    assert run["parameters"]["source"] == str(source)
    assert run["parameters"]["plain_http"] is True


@pytest.mark.parametrize(
    ("limits", "code"), [({"limit_rate": "fast"}, 2), ({"limit_rate": "1G"}, 0)], ids=["wrong", "right"]
)
def test_limits_that_can_not_be_used_end_a_run_before_it_has_done_anything(
    lifted: Layoutlift,
    dashboard: PrefectHistory,
    docker_registry: Registry,
    prefix: str,
    source: Path,
    limits: dict[str, str],
    code: int,
) -> None:
    with dashboard.variable("layoutlift_limits", limits):
        ended = lifted.migrate(source, f"{docker_registry.host}/{prefix}", code=code)
    assert ("layoutlift_limits: limit_rate" in ended.stderr) is (code == 2)
    arrived = [RepositoryView(docker_registry, f"{prefix}/app-{number}").tags for number in range(3)]
    assert arrived == [set() if code else {"v1", "v2"}] * 3


def test_a_migration_with_problems_is_a_failed_run_that_says_why(
    lifted: Layoutlift, dashboard: PrefectHistory, docker_registry: Registry, prefix: str, source: Path
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    RepositoryView(docker_registry, f"{prefix}/app-1").push_image("v2")
    (source / "app-2" / "index.json").write_bytes(b"")
    ended = lifted.migrate(source, target, code=1)
    assert ended.outcomes["app-1:v2"] == "conflict"
    run = dashboard.the_run(f"{source} → {target}")
    assert run["state_type"] == "FAILED"
    assert "1 of 4 tags have a problem" in run["state"]["message"]
    artifacts = dashboard.artifacts(run)
    (row,) = json.loads(artifacts["migrate-problems"]["data"])
    assert (row["repository"], row["tag"], row["code"]) == ("app-1", "v2", "conflict")
    assert row["what happened"]
    assert row["what to do"]
    assert "Incomplete" in artifacts["migrate-summary"]["data"]
    assert "invalid\\_layout" in artifacts["migrate-summary"]["data"]
    logged = [log["message"] for log in dashboard.logs(run)]
    assert len([message for message in logged if "app-1:v2" in message]) == 1, "what workers log belongs to the run"
    assert not [message for message in logged if "Traceback" in message], "what ended it is a line"


def test_fields_of_a_form_that_do_not_fit_together_are_named(
    prefect_environment: dict[str, str], dashboard: PrefectHistory, source: Path
) -> None:
    with temporary_settings({PREFECT_API_URL: f"{dashboard.url}/api"}):
        state = migrate(source=str(source), target="localhost:1", backup_tag="old", return_state=True)
    assert state.is_failed()
    assert state.message == (
        "Flow run encountered an exception: ConfigurationError: "
        "backup_tag: it must hold {tag}, so that each tag has a backup of its own"
    )


def test_a_verification_is_a_run_too(
    lifted: Layoutlift, dashboard: PrefectHistory, docker_registry: Registry, prefix: str, source: Path
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    lifted.migrate(source, target)
    lifted.verify(source, target, "--depth", "content")
    RepositoryView(docker_registry, f"{prefix}/app-0").push_image("v1")
    broken = lifted.verify(source, target, "--depth", "content", code=1)
    assert broken.outcomes["app-0:v1"] == "different_at_target"
    runs = dashboard.ask("flow_runs", {"flow_runs": {"name": {"any_": [f"{source} → {target}"]}}})
    assert sorted(run["state_type"] for run in runs) == ["COMPLETED", "COMPLETED", "FAILED"]
    (failed,) = (run for run in runs if run["state_type"] == "FAILED")
    assert {"verify-summary", "verify-problems"} <= set(dashboard.artifacts(failed))


def test_a_flow_and_a_standalone_run_report_the_same(
    lifted: Layoutlift, docker_registry: Registry, prefix: str, source: Path
) -> None:
    (source / "app-2" / "index.json").write_bytes(b"{")
    by_flow = lifted.migrate(source, f"{docker_registry.host}/{prefix}", code=1)
    lifted.standalone = True
    alone = lifted.migrate(source, f"{docker_registry.host}/{prefix}-alone", code=1)
    assert by_flow.report.keys() == alone.report.keys()
    for ended in (by_flow, alone):  # either may mount from what other tests left, or not
        for name in ("blobs_pushed", "blobs_mounted", "blobs_present", "bytes_pushed"):
            ended.totals.pop(name)
    assert outcomes_beside_run(by_flow) == outcomes_beside_run(alone)


def test_no_secret_reaches_the_server(
    lifted: Layoutlift,
    dashboard: PrefectHistory,
    prefect_environment: dict[str, str],
    private_registry: Registry,
    prefix: str,
    source: Path,
) -> None:
    username, password = private_registry.login or ("", "")
    target = f"{private_registry.host}/{prefix}"
    ended = lifted.migrate(source, target, "--username", username, "--password-stdin", stdin=f"{password}\n")
    assert ended.totals["copied"] == 6
    run = dashboard.the_run(f"{source} → {target}")
    assert password not in json.dumps([run, dashboard.logs(run), dashboard.artifacts(run)])
    for path in Path(prefect_environment["PREFECT_HOME"]).glob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):  # those of the server's database come and go
            assert password.encode() not in path.read_bytes()


def test_what_is_wrong_before_anything_was_done_is_one_line(
    lifted: Layoutlift, private_registry: Registry, docker_registry: Registry, source: Path, tmp_path: Path
) -> None:
    for line, named in (
        ((source, private_registry.host), private_registry.host),
        ((tmp_path / "nothing", docker_registry.host), str(tmp_path / "nothing")),
        ((source, docker_registry.host, "--include", "["), "["),
    ):
        ended = lifted.migrate(*line, code=2)
        (said,) = (text for text in ended.stderr.splitlines() if not text.startswith("Dashboard: "))
        assert named in said


def test_a_flow_takes_a_list_from_the_standard_input_of_its_command(
    lifted: Layoutlift, dashboard: PrefectHistory, docker_registry: Registry, prefix: str, source: Path
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    for more in ((), ("--on-conflict", "fail")):  # which looks at all of it twice
        ended = lifted.migrate(source, target, "--tags-from", "-", *more, stdin="app-1:v2\napp-7:v1\n", code=1)
        assert set(ended.outcomes) == {"app-1:v2"}
        (found,) = ended.report["findings"]
        assert found["message"] == "standard input:2: the source has no such repository, for v1"
    runs = dashboard.runs(f"{source} → {target}")
    assert [run["parameters"]["tags_from"] for run in runs] == ["-", "-"]


@pytest.mark.parametrize("api", ["http://127.0.0.1:9/api", "http://lifter:hunter2@127.0.0.1:9/api"])
def test_a_prefect_server_that_is_not_there_is_one_line(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, api: str
) -> None:
    layoutlift.environment, layoutlift.standalone = {"PREFECT_API_URL": api}, False
    ended = layoutlift.migrate(source, docker_registry.host, code=2)
    dashboard, said = ended.stderr.splitlines()
    assert dashboard == "Dashboard: http://127.0.0.1:9"
    assert "the Prefect server at http://127.0.0.1:9 can't be used" in said
    assert "--standalone" in said
    assert not ended.report


@pytest.mark.parametrize(
    ("name", "module", "kind", "required"),
    [
        ("migrate", "scale_parameters", "ScaledMigrateParameters", {"source", "target"}),
        ("verify", "scale_parameters", "ScaledVerifyParameters", {"source", "target"}),
        ("cleanup", "cleanup_parameters", "CleanupParameters", {"source", "policy"}),
    ],
)
def test_a_flow_has_the_fields_and_defaults_of_its_model(
    name: str, module: str, kind: str, required: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    import importlib  # noqa: PLC0415 - after Prefect's home was set

    flow = getattr(importlib.import_module(f"flows.{name}"), name)
    model = getattr(importlib.import_module(f"flows.forms.{module}"), kind)
    taken = {
        each.name: None if each.default is inspect.Parameter.empty else each.default
        for each in inspect.signature(flow.fn).parameters.values()
    }
    described = {field: None if info.is_required() else info.default for field, info in model.model_fields.items()}
    assert taken == described
    form = flow.parameters.model_dump()["properties"]
    fields = model.model_json_schema()["properties"]
    assert {field: form[field].get("description") for field in form} == {
        field: fields[field].get("description") for field in fields
    }
    assert set(flow.parameters.required) == required
    assert "password" not in form
