"""What of an interrupted run is kept."""

import json
from typing import Any

import pytest

from tasks.benchmark_values.facts import Failure, Phase, Results, UsedPath
from tasks.oci.errors import ConfigurationError
from tasks.operations.benchmark.data_files import parse, rows_of
from tasks.operations.benchmark.resuming import SAME, kept_of
from tests.support.benchmark_facts import about, measured

DONE = {"kind": "case", "case": "8MiB"}
WARNED = {"kind": "warning", "message": "w"}
FAILED = Failure(path="s3fs", case="8MiB", phase=Phase.WARM, repeat=2, code="c", message="m")


def test_only_cases_that_ended_are_kept() -> None:
    of_ended, of_torn = measured(1.0), measured(1.0, case="16MiB")
    warnings = [WARNED, WARNED]
    rows = [about().to_json(), of_ended.to_json(), FAILED.to_json(), DONE, of_torn.to_json(), *warnings]
    kept = kept_of(rows, about("another"))
    assert kept == Results(
        name="another",
        measurements=(of_ended,),
        failures=(FAILED,),
        about=about(),
        warnings=("w",),
        ended=("8MiB",),
    )
    assert kept_of(rows_of(kept), about("another")) == kept


@pytest.mark.parametrize("name", SAME)
def test_a_run_of_something_else_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"its {name} was"):
        kept_of([about(**{name: "other"}).to_json(), DONE], about())


def test_a_run_that_did_not_say_its_programs_yet_goes_on() -> None:
    assert kept_of([about(programs="").to_json(), DONE], about()).ended == ("8MiB",)


@pytest.mark.parametrize(
    "own", [{"options": ("use_cache=/x",)}, {"place": "other"}, {"version": "2"}, {"recipe": "x"}]
)
def test_a_run_of_the_same_paths_in_another_way_is_refused(own: dict[str, Any]) -> None:
    before, now = (about(paths=(UsedPath(name="s3fs", **each),)) for each in ({}, own))
    with pytest.raises(ConfigurationError, match="its paths"):
        kept_of([before.to_json(), DONE], now)


@pytest.mark.parametrize("rows", [[], [DONE]])
def test_where_nothing_was_begun_nothing_is_kept(rows: list[dict[str, object]]) -> None:
    assert kept_of(rows, about("now")) == Results(name="now", measurements=())


def test_what_is_no_line_of_results_is_refused_before_it_is_written_over() -> None:
    with pytest.raises(ConfigurationError, match="results that are to be resumed can't be read"):
        kept_of([about().to_json(), {"kind": "measurement", "case": "8MiB"}, DONE], about())


def test_results_of_a_run_that_goes_on_can_be_plotted() -> None:
    lines = (about().to_json(), measured(1.0).to_json(), DONE)
    text = "".join(json.dumps(row) + "\n" for row in lines)
    assert parse(text, "x").measurements == (measured(1.0),)
