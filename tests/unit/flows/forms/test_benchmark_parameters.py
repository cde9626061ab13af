import inspect
from typing import Any

import pytest
from click.testing import CliRunner

from flows.benchmark import benchmark
from flows.cli import main
from flows.forms.benchmark_parameters import BenchmarkParameters
from tasks.oci.errors import ConfigurationError


def test_a_bucket_of_a_paths_own_needs_a_bucket_to_measure_in() -> None:
    own = {"path_bucket": ["goofys=other"], "paths": ["goofys native"]}
    (goofys, _) = BenchmarkParameters(location="s3://bucket", **own).to_options().paths
    assert goofys.bucket == "other"
    for location in (None, "local"):
        with pytest.raises(ConfigurationError, match="LOCATION"):
            BenchmarkParameters(location=location, **own).to_options()
    BenchmarkParameters(path_bucket=["goofys=other"], paths=["native"]).to_options()


@pytest.mark.parametrize("registry", ["http://host:5000", "user:secret@host:5000", "host/UPPER"])
def test_a_registry_is_an_address_without_scheme_or_login(registry: str) -> None:
    with pytest.raises(ValueError, match="registry") as refused:
        BenchmarkParameters(registry=registry)
    assert "secret" not in refused.value.errors()[0]["msg"]
    assert BenchmarkParameters(registry="host:5000/prefix").registry == "host:5000/prefix"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"location": "s3:/bucket"}, "s3://bucket"),
        ({"sizes": ["8 miles"]}, "miles"),
        ({"paths": ["nobody"]}, "nobody"),
        ({"mount_option": ["native=x"]}, "native"),
        ({"path_mount": ["mount-s3=/mnt"]}, "mount-s3"),
        ({"path_bucket": ["registry=x"]}, "registry"),
        ({"state": "s3://bucket/state"}, "a folder of this machine"),
        ({"out": "s3://bucket/results"}, "a folder of this machine"),
        ({"dat_file": "s3://bucket/figures.dat"}, "a file of this machine"),
        ({"out": "~/results"}, "write the folder in full"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_makes_no_sense_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises((ConfigurationError, ValueError), match=named):
        BenchmarkParameters(**given).to_options()


@pytest.mark.parametrize(
    ("given", "named"), [([], "benchmark local"), (["s3://bucket/a"], "benchmark s3://bucket/a")]
)
def test_the_dashboard_names_where_a_run_measures(
    monkeypatch: pytest.MonkeyPatch, given: list[str], named: str
) -> None:
    runs: list[BenchmarkParameters] = []
    monkeypatch.delenv("S3_BUCKET", raising=False)
    monkeypatch.setattr("flows.commands.benchmark._log_progress", lambda: None)  # it would stay for other tests
    monkeypatch.setattr("tasks.benchmark_parts.refuse_without_parts", lambda _: None)
    monkeypatch.setattr("flows.server.embedded.run_flow", lambda _, parameters, __: runs.append(parameters))
    assert CliRunner().invoke(main, ["benchmark", "run", *given]).exit_code == 0
    assert str(benchmark.flow_run_name).format(**runs[0].model_dump()) == named


def test_a_run_of_a_deployment_that_names_no_place_is_not_named_after_none() -> None:
    defaults = {name: each.default for name, each in inspect.signature(benchmark.fn).parameters.items()}
    for given in (defaults, {"location": None}, {"location": ""}):  # as fields send that were emptied
        taken = benchmark.validate_parameters(given)
        assert str(benchmark.flow_run_name).format(**taken) == "benchmark local"
        assert BenchmarkParameters(**taken).to_options() == BenchmarkParameters().to_options()
