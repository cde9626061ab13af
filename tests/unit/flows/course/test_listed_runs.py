"""How the runs of a migration file end decides how the file's own run does."""

import pytest
from prefect import State
from prefect.client.schemas.objects import StateType
from prefect.states import Completed, Failed

from flows.course.listed_runs import ending_of
from flows.forms.parameters import MigrateParameters
from tasks.oci.errors import IncompleteError

SKIPPED = State[None](type=StateType.CANCELLED, name="Skipped", message="pid 1 is at work")
CANCELLED = State[None](type=StateType.CANCELLED, name="Cancelled")
MAPPINGS = [MigrateParameters(source=source, target="r/a") for source in ("/one", "/two")]


@pytest.mark.parametrize("states", [[Completed(), Completed()], [SKIPPED, Completed()]], ids=["done", "one skipped"])
def test_a_mapping_that_is_skipped_has_not_failed(states: list[State[None]]) -> None:
    assert ending_of("migrate", MAPPINGS, states) is None


def test_where_all_mappings_are_skipped_the_file_is() -> None:
    state = ending_of("migrate", MAPPINGS, [SKIPPED, SKIPPED])
    assert state is not None
    assert (state.type, state.name) == (SKIPPED.type, SKIPPED.name)


@pytest.mark.parametrize("other", [Failed(), CANCELLED], ids=["failed", "cancelled"])
def test_a_mapping_that_did_not_end_well_is_named(other: State[None]) -> None:
    with pytest.raises(IncompleteError, match="1 of 2 runs of migrate did not end well: /two → r/a"):
        ending_of("migrate", MAPPINGS, [SKIPPED, other])
