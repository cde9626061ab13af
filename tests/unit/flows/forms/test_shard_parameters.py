"""The flow of a shard understands what the whole run tells it, through JSON as Prefect keeps it."""

import dataclasses
import json
from typing import Any

import pytest

from flows.forms.shard_parameters import MigrateShardParameters, VerifyShardParameters, told_of
from flows.migrate_shard import migrate_shard
from flows.verify_shard import verify_shard
from tasks.ports import Shard

SETTINGS = {"source": "/mnt/bucket", "target": "registry.example"}
BOTH = pytest.mark.parametrize(
    ("flow", "model"), [(migrate_shard, MigrateShardParameters), (verify_shard, VerifyShardParameters)]
)


@BOTH
@pytest.mark.parametrize(
    "shard",
    [Shard("run", 1, ("app",)), Shard("run", 3, ("caf\udce9", "100%"), 4, ("l\udce9",), "a1b2", 1000.5)],
    ids=["as little as there is", "all that there is"],
)
def test_a_shard_is_understood_as_it_was_told(flow: Any, model: Any, shard: Shard) -> None:
    told = json.loads(json.dumps({"settings": SETTINGS, **told_of(shard)}))
    given = model(**flow.validate_parameters(told))
    assert given.to_shard() == shard
    assert given.settings.to_options().source == "/mnt/bucket"


@BOTH
def test_a_form_has_the_fields_of_a_shard_after_the_settings(flow: Any, model: Any) -> None:
    form = flow.parameters.model_dump()["properties"]
    shown = sorted(form, key=lambda name: form[name]["position"])
    assert shown[0] == "settings"
    assert set(shown[1:]) == {field.name for field in dataclasses.fields(Shard)}
    assert all(form[name]["description"] for name in model.model_fields)
