"""What names a block of a Prefect server, and what is a host or a directory."""

import pytest

from flows.commands.running import checked
from flows.forms.block_names import block_name, names_block
from flows.forms.parameters import CheckParameters, MigrateParameters
from tasks.endpoints import TargetOptions
from tasks.oci.errors import ConfigurationError
from tasks.run_options import RunOptions


@pytest.mark.parametrize(
    ("text", "name"), [("block:harbor", "harbor"), ("block:s3-eu-1", "s3-eu-1"), ("block:2b", "2b")]
)
def test_a_block_is_named_as_prefect_names_it(text: str, name: str) -> None:
    assert block_name(text) == name


@pytest.mark.parametrize(
    "text", ["block:5000", "block", "block:", "block:Harbor", "block:a/b", "./block:a", "block:a "]
)
def test_hosts_and_paths_stay_what_they_are(text: str) -> None:
    assert block_name(text) is None


@pytest.mark.parametrize(
    ("source", "target", "named"),
    [
        ("block:bucket", None, True),
        ("/mnt", "block:harbor", True),
        ("/mnt", "localhost:5000", False),
        ("/mnt", None, False),
    ],
)
def test_a_run_says_whether_either_of_its_places_is_a_block(source: str, target: str | None, named: bool) -> None:
    options = RunOptions(source=source, target=None if target is None else TargetOptions(target))
    assert names_block(options) is named


def test_a_host_called_block_can_be_a_target() -> None:
    assert MigrateParameters(source="/mnt", target="block:5000/team").target == "block:5000/team"


@pytest.mark.parametrize(
    ("model", "given", "field"),
    [
        (MigrateParameters, {"source": "/mnt", "target": "block:harbor"}, "TARGET: block:harbor"),
        (MigrateParameters, {"source": "block:team-a", "target": "localhost:5000"}, "SOURCE: block:team-a"),
        (CheckParameters, {"source": "block:team-a"}, "SOURCE: block:team-a"),
    ],
)
def test_what_works_without_prefect_says_that_it_reads_no_block(
    model: type, given: dict[str, str], field: str
) -> None:
    with pytest.raises(ConfigurationError, match=field):
        checked(model, given)
    checked(model, given, blocks=True)
