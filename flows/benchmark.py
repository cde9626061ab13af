"""The flow that measures pulls through mounts, the native API and a registry."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State

from flows.course.benchmark_course import drive_benchmark
from flows.course.deployed_paths import with_lasting_results
from flows.course.deployed_variables import warn_of_variables
from flows.course.flow_body import skipped
from flows.course.stopping import stopped_as_before
from flows.course.watching import current_watcher
from flows.dashboard.benchmark_publishing import measure_as_tasks, publish_benchmark
from flows.dashboard.dashboard_limits import ended_by_a_pause
from flows.forms import benchmark_parameters as p
from flows.forms.filled_in import filled_in
from flows.forms.flow_forms import takes
from flows.server.heartbeats import heartbeats
from flows.server.own_flow import flow
from tasks.oci.errors import LockHeldError
from tasks.operations.reports.told_errors import told_plainly


@flow(name="benchmark", flow_run_name="benchmark {location}", persist_result=False)
@takes(p.BenchmarkParameters)
def benchmark(**given: Any) -> State[None] | None:
    """Measure what pulling artifacts costs through each mount, the native API and a registry."""
    parameters = filled_in(p.BenchmarkParameters, given)
    warn_of_variables(parameters)
    watcher = current_watcher()
    try:
        with told_plainly(), stopped_as_before(), heartbeats(), ended_by_a_pause(watcher.stop.set):
            options = with_lasting_results(parameters.to_options())
            drive_benchmark(options, watcher.stop, measure_as_tasks, publish_benchmark)
    except LockHeldError as held:
        return skipped(held, watcher)
    return None
