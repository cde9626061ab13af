"""Who does the work of a migration is known, and is there, before its run is begun."""

import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from flows.forms.scale_parameters import ScaledMigrateParameters, TaskRunner
from flows.scale import scaling
from flows.scale.scaling import work_for
from tasks.oci.errors import ConfigurationError
from tasks.operations.running.source_survey import Survey
from tasks.operations.work.planning import NamePlan


def test_without_its_extra_dask_is_refused_before_a_run_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "flows.scale.dask_work", raising=False)
    monkeypatch.setitem(sys.modules, "prefect_dask.task_runners", None)
    given = ScaledMigrateParameters(source="/mnt/bucket", target="registry.example", task_runner=TaskRunner.DASK)
    with pytest.raises(ConfigurationError, match=r"layoutlift\[dask\]"):
        work_for(given)


@pytest.mark.parametrize("split", [{"shards": 2}, {"task_runner": TaskRunner.DASK}])
def test_what_one_process_can_read_is_refused_where_several_have_to(split: dict[str, Any]) -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example", "tags_from": "-"}
    with pytest.raises(ConfigurationError, match="--tags-from -: other processes"):
        work_for(ScaledMigrateParameters(**given, **split))
    assert work_for(ScaledMigrateParameters(**given)) is scaling.work_as_tasks


def test_each_part_knows_among_how_many_rates_are_shared_out() -> None:
    run: Any = SimpleNamespace(run_id="run")
    assert [shard.of for shard in scaling._shards(run, survey_of(app=2, lib=1, tools=1), 8)] == [3, 3, 3]


def test_each_part_of_a_split_source_knows_which_layouts_it_needs() -> None:
    run: Any = SimpleNamespace(run_id="run")
    survey = replace(
        survey_of(app=9, lib=4, tools=4), layouts={"app": "dump", "lib": "more/dump", "tools": "more/dump"}
    )
    shards = scaling._shards(run, survey, 2)
    assert {shard.repositories: shard.layouts for shard in shards} == {
        ("app",): ("dump",),
        ("lib", "tools"): ("more/dump",),
    }


def survey_of(**sizes: int) -> Survey:
    return Survey(NamePlan({}, {}), sizes, (), frozenset(), sizes, {})
