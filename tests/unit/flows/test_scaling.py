"""Who does the work of a migration is known, and is there, before its run is begun."""

import sys

import pytest

from flows.scale_parameters import ScaledMigrateParameters, TaskRunner
from flows.scaling import work_for
from tasks.oci.errors import ConfigurationError


def test_without_its_extra_dask_is_refused_before_a_run_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "flows.dask_work", raising=False)
    monkeypatch.setitem(sys.modules, "prefect_dask.task_runners", None)
    given = ScaledMigrateParameters(source="/mnt/bucket", target="registry.example", task_runner=TaskRunner.DASK)
    with pytest.raises(ConfigurationError, match=r"layoutlift\[dask\]"):
        work_for(given)
