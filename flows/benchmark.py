"""The flow that measures pulls through mounts, the native API and a registry."""

from __future__ import annotations

from prefect.client.schemas.objects import State

from flows.course.benchmark_course import drive_benchmark
from flows.course.deployed_paths import with_lasting_results
from flows.course.flow_body import skipped
from flows.course.stopping import stopped_as_before
from flows.course.watching import current_watcher
from flows.dashboard.benchmark_publishing import measure_as_tasks, publish_benchmark
from flows.dashboard.dashboard_limits import ended_by_a_pause
from flows.forms import benchmark_parameters as p
from flows.forms.filled_in import filled_in
from flows.forms.parameter_fields import EndpointUrl, PlainHttp
from flows.forms.parameters import documented
from flows.server.heartbeats import heartbeats
from flows.server.own_flow import flow
from tasks.benchmark_values.options import ContentKind
from tasks.oci.errors import LockHeldError
from tasks.operations.reports.told_errors import told_plainly


@flow(name="benchmark", flow_run_name="benchmark {location}", persist_result=False)
@documented(p.BenchmarkParameters)
def benchmark(
    *,
    location: p.Location = None,
    sizes: p.Sizes = [],  # noqa: B006 - read only; a form needs a list
    multis: p.Multis = [],  # noqa: B006
    quick: p.Quick = False,
    paths: p.Paths = [],  # noqa: B006
    without: p.Without = [],  # noqa: B006
    mount_option: p.MountOption = [],  # noqa: B006
    path_bucket: p.PathBucket = [],  # noqa: B006
    path_mount: p.PathMount = [],  # noqa: B006
    paths_file: p.PathsFile = None,
    repeats: p.Repeats = 3,
    pause: p.Pause = 1.3,
    content: p.Content = ContentKind.TEXT,
    endpoint_url: EndpointUrl = None,
    registry: p.Registry = None,
    plain_http: PlainHttp = False,
    keep_page_cache: p.KeepPageCache = False,
    allowed_loss: p.AllowedLoss = 30.0,
    out: p.Out = None,
    dat_file: p.DatFile = None,
    state: p.State = None,
    uncounted: p.Uncounted = False,
    resume: p.Resume = False,
) -> State[None] | None:
    """Measure what pulling artifacts costs through each mount, the native API and a registry."""
    given = filled_in(p.BenchmarkParameters, locals())
    watcher = current_watcher()
    try:
        with told_plainly(), stopped_as_before(), heartbeats(), ended_by_a_pause(watcher.stop.set):
            options = with_lasting_results(given.to_options())
            drive_benchmark(options, watcher.stop, measure_as_tasks, publish_benchmark)
    except LockHeldError as held:
        return skipped(held, watcher)
    return None
