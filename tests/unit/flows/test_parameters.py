"""What a user says is checked before anything is stored: Prefect keeps the parameters of a run, and shows them."""

import pytest
from pydantic import BaseModel, ValidationError

from flows.commands.running import RunParameters, checked
from flows.parameters import MigrateParameters, VerifyParameters
from tasks.oci.errors import ConfigurationError
from tasks.operations.planning import Untagged

MODELS = pytest.mark.parametrize("model", [MigrateParameters, VerifyParameters])


@MODELS
@pytest.mark.parametrize(
    "target", ["user:hunter2@registry.example", "https://user:hunter2@registry.example/team", "hunter2@host:5000"]
)
def test_a_target_with_a_password_in_it_is_refused_and_the_password_not_repeated(
    model: type[BaseModel], target: str
) -> None:
    with pytest.raises(ValidationError):
        model(source="/mnt/bucket", target=target)
    with pytest.raises(ConfigurationError, match="TARGET") as raised:
        checked(model, {"source": "/mnt/bucket", "target": target})
    assert "hunter2" not in str(raised.value)


@MODELS
def test_a_target_is_taken_as_it_is(model: type[BaseModel]) -> None:
    assert model(source="/mnt/bucket", target="registry.example:5000/team").target == "registry.example:5000/team"


@MODELS
@pytest.mark.parametrize(
    "place", ["s3://AKID:hunter2@bucket/team", "s3://AKID:hun/ter2@bucket", "https://user:hunter2@store/bucket"]
)
def test_a_login_in_the_name_of_a_bucket_is_refused_and_not_repeated(model: type[BaseModel], place: str) -> None:
    good = {"source": "s3://bucket/team", "target": "registry.example", "state": "s3://bucket/state"}
    model(**good)
    for field in ("source", "state"):
        with pytest.raises(ConfigurationError, match=f"(?i){field}: ") as raised:
            checked(model, good | {field: place})
        assert "hun" not in str(raised.value)


@MODELS
def test_a_verification_can_prove_the_untagged_manifests_that_a_migration_brings(model: type[RunParameters]) -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example", "untagged": "all"}
    assert checked(model, given).to_options().policy.untagged is Untagged.ALL
