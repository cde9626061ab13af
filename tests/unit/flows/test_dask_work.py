"""Parts on a Dask cluster, as the run sees them that waits for them."""

from typing import TYPE_CHECKING, cast

import pytest

from flows import dask_work
from flows.dask_work import work_on_dask
from flows.scale_parameters import ScaledMigrateParameters, TaskRunner
from flows.scaling import Gathering

if TYPE_CHECKING:
    from tasks.runs import Run


def test_where_nothing_was_selected_no_cluster_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(dask_work, "_runner")
    given = ScaledMigrateParameters(source="/bucket", target="h", task_runner=TaskRunner.DASK, limit_rate="1M")
    work_on_dask(given, Gathering(cast("Run", None)), [])
