"""A worker's run names the variables of options that its worker has, and that it does not read."""

from typing import Any

import pytest

from flows.benchmark import benchmark
from flows.cleanup import cleanup
from flows.course.deployed_paths import RUN_OF_WORKER
from flows.course.deployed_variables import warn_of_variables
from flows.course.watching import watched_by
from flows.forms.parameters import MigrateParameters
from flows.migrate import migrate
from flows.terminal.console import Console
from flows.verify import verify
from tasks.oci.errors import ConfigurationError

GIVEN = MigrateParameters(source="/mnt/bucket", target="registry.example", jobs=4)


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_OF_WORKER, "0a1b")
    for name in ("LAYOUTLIFT_TARGET_PASSWORD", "LAYOUTLIFT_JOBS"):
        monkeypatch.setenv(name, "8")


def test_variables_that_only_commands_read_are_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LAYOUTLIFT_STATE", "s3://hunter2/state")
    monkeypatch.setenv("LAYOUTLIFT_LIMIT_RATE", "50M")
    warn_of_variables(GIVEN)
    (said,) = caplog.messages
    assert {"LAYOUTLIFT_STATE", "LAYOUTLIFT_LIMIT_RATE"} <= set(said.partition(":")[0].split(", "))
    assert {"state", "limit_rate"} <= set(said.partition("the parameters ")[2].split(", "))
    assert "hunter2" not in said


def test_what_is_read_or_said_by_a_parameter_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LAYOUTLIFT_STATE", "")
    warn_of_variables(GIVEN)
    assert caplog.messages == []


def test_the_state_of_a_cleanup_is_another_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LAYOUTLIFT_STATE", "s3://bucket/state")
    warn_of_variables(GIVEN, but="state")
    assert caplog.messages == []


def test_a_command_reads_them_and_a_mapping_has_what_its_file_says(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LAYOUTLIFT_STATE", "/state")
    with watched_by(Console()):
        warn_of_variables(GIVEN)
    monkeypatch.setattr("flows.course.deployed_variables.flow_run.get_id", lambda: "that of a mapping")
    warn_of_variables(GIVEN)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("flow", "given"),
    [
        (migrate, {"source": "/nowhere", "target": "registry.example", "state": "passing"}),
        (verify, {"source": "/nowhere", "target": "registry.example", "state": "passing"}),
        (cleanup, {"source": "/nowhere", "policy": "/policy.yaml", "state": "passing"}),
        (benchmark, {"out": "passing"}),
    ],
)
def test_each_flow_that_is_scheduled_names_them_before_it_does_anything(
    flow: Any, given: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LAYOUTLIFT_ENDPOINT_URL", "http://127.0.0.1:8333")
    with pytest.raises(ConfigurationError, match="give the whole path"):
        flow.fn(**given)
    assert "LAYOUTLIFT_ENDPOINT_URL" in caplog.text
