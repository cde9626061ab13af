"""Which settings of deployments outlive their being told to the server anew; by a real one in test_operations.py."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.operations import dashboard_settings
from infra.operations.dashboard_settings import kept_settings

API = "http://127.0.0.1:1/api"


def schedule(slug: str | None, **settings: Any) -> dict[str, Any]:
    usual = {"id": f"id of {slug}", "schedule": {"cron": "0 2 * * *"}, "parameters": {}, "max_scheduled_runs": None}
    return {**usual, "slug": slug, "active": False, **settings}


@dataclass
class Server:
    """Has one deployment, `migrate/nightly`."""

    parameters: dict[str, Any] = field(default_factory=dict)
    schedules: list[dict[str, Any]] = field(default_factory=lambda: [schedule("nightly")])
    takes_parameters: bool = True
    active_with: list[dict[str, Any]] = field(default_factory=list)
    """The parameters that there were whenever a schedule was switched on."""

    def ask(self, api: str, path: str, condition: Any, method: str = "POST") -> Any:
        assert api == API
        known = {"id": "1", "name": "nightly", "entrypoint": "flows.migrate.migrate", **vars(self)}
        match method, path.split("/"):
            case "POST", ["deployments", "filter"]:
                return [json.loads(json.dumps(known))]
            case "PATCH", ["deployments", "1"]:
                if not self.takes_parameters:
                    raise OSError("HTTP Error 409: Conflict")
                self.parameters = condition["parameters"]
            case "PATCH", ["deployments", "1", "schedules", which]:
                next(each for each in self.schedules if each["id"] == which).update(condition)
                self.active_with += [self.parameters] if condition["active"] else []
            case "POST", ["deployments", "1", "schedules"]:
                self.schedules += [schedule(**each) for each in condition]
            case _:
                pytest.fail(f"{method} {path}")
        return None

    def told(self, record: Path, *, active: bool = False, **parameters: str) -> None:
        """As `prefect deploy` does, where one of the schedules has no slug."""
        with kept_settings(API, record):
            self.parameters, self.schedules = parameters, [schedule("nightly", active=active)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(dashboard_settings, "ask", server.ask)
    return server


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "deployed.json"


def test_what_was_set_stays_time_after_time_and_the_rest_is_as_the_file_says(
    server: Server, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.told(record, target="registry.example", depth="manifest")
    assert capsys.readouterr().err == ""
    server.parameters["target"] = "ours.example"
    set_to = [schedule("nightly", active=True), schedule(None, active=True)]
    server.schedules = set_to
    for depth in ("content", "manifest"):
        server.told(record, target="another.example", depth=depth)
        assert server.parameters == {"target": "ours.example", "depth": depth}
        assert server.schedules == set_to
        said = "migrate/nightly: target, schedule nightly, schedule as set in the dashboard was kept\n"
        assert capsys.readouterr().err == said


def test_settings_of_a_server_that_was_told_otherwise_stay(server: Server, record: Path) -> None:
    server.parameters = {"target": "ours.example"}
    record.write_text('{"cut short')
    server.told(record, target="registry.example")
    assert server.parameters == {"target": "ours.example"}


def test_what_was_set_stays_when_telling_fails_in_between(server: Server, record: Path) -> None:
    server.told(record, target="registry.example")
    server.parameters["target"] = "ours.example"
    with suppress(InterruptedError), kept_settings(API, record):
        server.parameters = {"target": "registry.example"}
        raise InterruptedError
    assert server.parameters == {"target": "ours.example"}
    server.told(record, target="registry.example")
    assert server.parameters == {"target": "ours.example"}


def test_what_the_server_refuses_by_now_is_named_and_no_obstacle(
    server: Server, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.told(record, depth="manifest")
    server.parameters, server.takes_parameters = {"depth": "gone"}, False
    server.told(record, depth="manifest")
    expected = "migrate/nightly: depth as set in the dashboard could not be kept, set it there again: HTTP Error 409"
    assert capsys.readouterr().err.startswith(expected)


@pytest.mark.parametrize(("takes_them", "active_with"), [(True, [{"target": "ours.example"}]), (False, [])])
def test_no_schedule_is_switched_on_again_before_it_has_its_parameters(
    server: Server, record: Path, takes_them: bool, active_with: list[dict[str, Any]]
) -> None:
    """It would run to where the file says, which nobody meant; one that is off is told of."""
    server.told(record, target="registry.example")
    server.parameters, server.takes_parameters = {"target": "ours.example"}, takes_them
    server.schedules = [schedule("nightly", active=True)]
    server.told(record, target="registry.example")
    assert server.active_with == active_with


def test_a_schedule_that_was_switched_off_stays_so_where_its_parameters_are_refused(
    server: Server, record: Path
) -> None:
    server.told(record, active=True, target="registry.example")
    server.parameters, server.takes_parameters = {"target": "ours.example"}, False
    server.schedules = [schedule("nightly", active=False)]
    server.told(record, active=True, target="registry.example")
    assert [each["active"] for each in server.schedules] == [False]
