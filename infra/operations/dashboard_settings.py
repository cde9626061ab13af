"""What somebody set of deployments in the dashboard, which stays when these are told to the server anew."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infra.real_parts.prefect_worker import ask

TAG = "layoutlift"
OF_A_SCHEDULE = ("slug", "active", "schedule", "parameters", "max_scheduled_runs")


@dataclass(frozen=True)
class Settings:
    """What can be set of one deployment, in its file and in the dashboard."""

    parameters: dict[str, Any] = field(default_factory=dict)
    schedules: list[dict[str, Any]] = field(default_factory=list)

    @property
    def words(self) -> str:
        """All of them by their names."""
        return ", ".join([*self.parameters, *(f"schedule {each['slug'] or ''}".strip() for each in self.schedules)])

    def beside(self, others: "Settings") -> "Settings":
        """What is not so there."""
        there = others.parameters
        parameters = {name: value for name, value in self.parameters.items() if there.get(name, ...) != value}
        return Settings(parameters, [each for each in self.schedules if each not in others.schedules])


@contextmanager
def kept_settings(api: str, record: Path) -> Iterator[None]:
    """Tell the server of deployments in the block; what was set in the dashboard is put back after it, and said.

    `record` has how the server knew them when it was told last: what is other by now was set by somebody, and all
    else is as the block says. Prefect itself takes no account of that, and may remove schedules that were added.
    """
    told, before = _recorded(record), settings(api)
    try:
        yield
    finally:
        after = settings(api)
        for deployment in before.keys() & after.keys():
            was_set = before[deployment].beside(told.get(deployment, Settings()))
            if (lost := was_set.beside(after[deployment])) != Settings():
                _put_back(api, deployment, lost)
    record.write_text(json.dumps({deployment: asdict(known) for deployment, known in after.items()}))


def settings(api: str) -> dict[str, Settings]:
    """Those of each deployment of ours that the server has, by its id."""
    found = ask(api, "deployments/filter", {"deployments": {"tags": {"all_": [TAG]}}})
    return {each["id"]: Settings(each["parameters"], _schedules(each)) for each in found}


def _schedules(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: schedule[name] for name in OF_A_SCHEDULE} for schedule in deployment["schedules"]]


def _recorded(record: Path) -> dict[str, Settings]:
    try:
        return {deployment: Settings(**known) for deployment, known in json.loads(record.read_text()).items()}
    except (FileNotFoundError, ValueError, TypeError):  # none, cut short, or of another version
        return {}


def _put_back(api: str, deployment: str, lost: Settings) -> None:
    """Set that of a deployment again; one that does not take it by now stays as it was told."""
    (there,) = ask(api, "deployments/filter", {"deployments": {"id": {"any_": [deployment]}}})
    flow = str(there["entrypoint"]).rpartition(".")[2].replace("_", "-")
    said = f"{flow}/{there['name']}: {lost.words} as set in the dashboard"
    try:
        _set(api, there, lost)
    except OSError as refusal:
        print(f"{said} could not be kept, set it there again: {refusal}", file=sys.stderr)
    else:
        print(f"{said} was kept", file=sys.stderr)


def _set(api: str, there: dict[str, Any], wanted: Settings) -> None:
    place = f"deployments/{there['id']}"
    if wanted.parameters:  # first: no schedule is to begin runs without them, and a flow may refuse some
        try:
            ask(api, place, {"parameters": there["parameters"] | wanted.parameters}, method="PATCH")
        except OSError:
            _set_schedules(api, place, there, [{**schedule, "active": False} for schedule in wanted.schedules])
            raise
    _set_schedules(api, place, there, wanted.schedules)


def _set_schedules(api: str, place: str, there: dict[str, Any], wanted: Sequence[dict[str, Any]]) -> None:
    known = {each["slug"]: each["id"] for each in there["schedules"] if each["slug"] is not None}
    for schedule in wanted:
        if schedule["slug"] in known:
            ask(api, f"{place}/schedules/{known[schedule['slug']]}", schedule, method="PATCH")
        else:
            ask(api, f"{place}/schedules", [schedule])
