"""What a part of a run is told: all that the whole was told, but for what the whole does once."""

from pathlib import Path

import pytest

from flows.forms.scale_parameters import ScaledMigrateParameters, ScaledVerifyParameters
from tasks.operations.work.planning import OnConflict

WHOLE = ScaledMigrateParameters(
    source="/bucket",
    target="registry.example",
    include=["team/**"],
    newest=5,
    order_by="semver",
    newer_than="90d",
    older_than="6h",
    jobs=3,
    limit_rate="10M",
    max_requests=50,
    on_conflict=OnConflict.FAIL,
    since_last=True,
    state="s3://state/layoutlift",
    report="report.json",
    metrics="layoutlift.prom",
    shards=8,
    lock_timeout="1h",
)


def test_a_part_has_its_share_of_the_rates_and_nothing_that_is_done_once() -> None:
    part = WHOLE.of_part(3)
    assert part.to_options().limit_rate == 3_495_254
    assert part.max_requests == 50 / 3
    assert (part.report, part.metrics) == (None, None)
    assert part.on_conflict is OnConflict.REFUSE, "the run itself looked for conflicts before it began"
    assert part.to_options().lock_timeout == 0, "the run itself has waited"
    changed = {"limit_rate", "max_requests", "report", "metrics", "on_conflict", "lock_timeout"}
    assert part.model_dump(exclude=changed) == WHOLE.model_dump(include=set(type(part).model_fields) - changed)


def test_a_part_without_limits_has_none() -> None:
    whole = ScaledMigrateParameters(source="/bucket", target="registry.example", on_conflict=OnConflict.SKIP)
    part = whole.of_part(3)
    assert (part.limit_rate, part.max_requests, part.on_conflict) == (None, None, OnConflict.SKIP)


def test_a_part_of_a_verification_has_its_share_too() -> None:
    given = {"source": "/bucket", "target": "registry.example", "include": ["team/**"], "depth": "content", "jobs": 3}
    once = {"report": "report.json", "metrics": "layoutlift.prom"}
    whole = ScaledVerifyParameters(**given, **once, max_requests=50, hours="22:00-06:00", state="/state", shards=8)
    part = whole.of_part(4)
    assert (part.max_requests, part.report, part.metrics) == (12.5, None, None)
    changed = {"max_requests", "report", "metrics"}
    assert part.model_dump(exclude=changed) == whole.model_dump(include=set(type(part).model_fields) - changed)
    assert whole.shard_deployment == "verify-shard/shard"


def test_a_part_whose_process_begins_in_another_folder_finds_what_the_whole_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = {
        "source": "bucket",
        "tags_from": "images.txt",
        "state": "../state",
        "ca_file": "ca.pem",
        "limits_from": "limits.yaml",
    }
    others = {
        "source": "s3://bucket",
        "tags_from": None,
        "state": "s3://bucket/state",
        "ca_file": None,
        "limits_from": "variable:night",
    }
    for model in (ScaledMigrateParameters, ScaledVerifyParameters):
        part = model(target="registry.example", **paths).of_part(2).model_dump()
        assert {name: part[name] for name in paths} == {name: f"{tmp_path}/{path}" for name, path in paths.items()}
        part = model(target="registry.example", **others).of_part(2).model_dump()
        assert {name: part[name] for name in others} == others
        assert model(source="block:team-a", target="block:harbor").of_part(2).source == "block:team-a"


@pytest.mark.parametrize("name", ["shard", "migrate-shard/", "a/b/c", ""])
def test_what_can_name_no_deployment_is_refused_before_anything_is_done(name: str) -> None:
    with pytest.raises(ValueError, match="it must be FLOW/DEPLOYMENT"):
        ScaledMigrateParameters(source="/bucket", target="registry.example", shard_deployment=name)


@pytest.mark.parametrize("name", ["migrate-shard/shard-docker", "5dc1d4f5-5579-48a7-848c-4c852af0adce"])
def test_a_deployment_is_named_as_prefect_itself_takes_it(name: str) -> None:
    given = ScaledMigrateParameters(source="/bucket", target="registry.example", shard_deployment=name)
    assert given.shard_deployment == name
