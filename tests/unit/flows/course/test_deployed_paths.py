"""What a worker's run is told to write outlives it, or is refused before anything is done."""

from pathlib import Path

import pytest

from flows.course.deployed_paths import RUN_OF_WORKER, refuse_passing, refuse_standard_input, with_lasting_results
from flows.course.watching import watched_by
from flows.forms.benchmark_parameters import BenchmarkParameters
from flows.forms.parameters import MigrateParameters
from flows.terminal.console import Console
from tasks.oci.errors import ConfigurationError

PASSING = ("report.json", "./state", "~/report.json")
LASTING = (None, "", "/var/lib/report.json", "s3://bucket/state")


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_OF_WORKER, "0a1b")


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("place", PASSING)
def test_a_worker_s_run_refuses_to_write_into_the_folder_that_goes_with_it(place: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--dat-file .*: a worker removes the folder") as raised:
        refuse_passing(dat_file=place)
    assert place in str(raised.value)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("place", LASTING)
def test_a_worker_s_run_takes_whole_paths_and_buckets(place: str | None) -> None:
    refuse_passing(state=place)


def test_a_worker_s_run_has_no_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_standard_input(tags_from="-")
    monkeypatch.setenv(RUN_OF_WORKER, "0a1b")
    refuse_standard_input(tags_from="/etc/images.txt", other=None)
    with pytest.raises(ConfigurationError, match="--tags-from -: a worker's run has no input"):
        refuse_standard_input(tags_from="-")


@pytest.mark.parametrize("place", PASSING)
def test_a_command_writes_where_it_is_called(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_passing(report=place)
    monkeypatch.setenv(RUN_OF_WORKER, "0a1b")  # as where a flow of somebody's own calls the command
    with watched_by(Console()):
        refuse_passing(report=place)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("given", [{"report": "r.json"}, {"metrics": "m.prom"}, {"state": "state"}])
def test_a_flow_refuses_them_before_it_does_anything(given: dict[str, str]) -> None:
    from flows.course.flow_body import run_as_flow  # noqa: PLC0415 - Prefect
    from tasks.run_options import RunKind  # noqa: PLC0415

    options = MigrateParameters(source="/nowhere", target="registry.example", **given).to_options()
    with pytest.raises(ConfigurationError, match="give the whole path"):
        run_as_flow(RunKind.MIGRATE, options)


@pytest.mark.usefixtures("worker")
def test_a_scheduled_benchmark_leaves_its_results_where_they_last(tmp_path: Path) -> None:
    options = with_lasting_results(BenchmarkParameters(state=str(tmp_path)).to_options())
    assert options.out == str(tmp_path / "benchmark/results/0a1b")
    assert with_lasting_results(BenchmarkParameters(out="/var/lib/results").to_options()).out == "/var/lib/results"


@pytest.mark.usefixtures("worker")
def test_a_scheduled_benchmark_that_is_resumed_goes_on_and_one_that_has_ended_begins_anew(tmp_path: Path) -> None:
    given = BenchmarkParameters(state=str(tmp_path)).to_options()
    results = tmp_path / "benchmark/results/0a1b"
    assert not with_lasting_results(given).resume
    results.mkdir(parents=True)
    (results / "benchmark.jsonl").touch()
    assert with_lasting_results(given).resume
    (results / "benchmark.md").touch()
    assert not with_lasting_results(given).resume


def test_a_benchmark_by_command_leaves_its_results_where_it_is_called() -> None:
    assert with_lasting_results(BenchmarkParameters().to_options()).out is None
