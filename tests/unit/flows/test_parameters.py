"""What a user says is checked before anything is stored: Prefect keeps the parameters of a run, and shows them."""

import pytest
from pydantic import BaseModel, ValidationError

from flows.commands.running import checked
from flows.parameters import MigrateParameters, VerifyParameters
from tasks.oci.errors import ConfigurationError

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
