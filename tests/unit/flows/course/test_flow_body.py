"""What a flow tells of a run that did not begin."""

from typing import Any

import pytest

from flows.course import flow_body
from flows.course.flow_body import run_as_flow
from flows.dashboard import announcing
from flows.dashboard.announcing import CONFLICTS
from flows.forms.parameters import MigrateParameters
from tasks.oci.errors import ConflictsError
from tasks.operations.work.planning import OnConflict
from tasks.run_options import RunKind


@pytest.mark.parametrize(("tags", "told"), [(2, [(CONFLICTS, 2)]), (0, [])], ids=["there are some", "nobody knows"])
def test_conflicts_that_keep_a_run_from_beginning_are_told_to_whoever_waits_for_some(
    monkeypatch: pytest.MonkeyPatch, tags: int, told: list[tuple[str, int]]
) -> None:
    sent: list[tuple[str, int]] = []

    def send(event: str, resource: dict[str, str], payload: dict[str, int]) -> None:
        assert resource["prefect.resource.id"].startswith("layoutlift.migrate."), "what the alert waits for"
        assert resource["prefect.resource.name"] == "/bucket → registry.example"
        sent.append((event, payload["conflicts"]))

    def drive(*_: Any, **__: Any) -> None:
        raise ConflictsError("nothing was changed", tags)

    monkeypatch.setattr(announcing, "emit_event", send)
    monkeypatch.setattr(flow_body, "drive", drive)
    options = MigrateParameters(source="/bucket", target="registry.example", on_conflict=OnConflict.FAIL).to_options()
    with pytest.raises(ConflictsError):
        run_as_flow(RunKind.MIGRATE, options)
    assert sent == told
