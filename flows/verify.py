"""The flow that proves that a registry holds what a tree of image layouts says."""

from __future__ import annotations

from prefect import State  # Prefect evaluates annotations: where one can't be, the form loses all types

from flows.course.flow_body import run_as_flow
from flows.forms import pace_parameters as pace
from flows.forms import parameter_fields as p
from flows.forms import scale_parameters as s
from flows.forms.filled_in import filled_in
from flows.forms.parameters import documented
from flows.scale.scaling import work_for
from flows.server.own_flow import OF_BATCHES, flow
from tasks.oci.registry_profiles import RegistryKind
from tasks.operations.choosing.newest import NewestBy
from tasks.operations.reports.results import Depth
from tasks.operations.work.planning import Untagged
from tasks.run_options import RunKind


@flow(
    name="verify",
    flow_run_name="{source} → {target}",
    **OF_BATCHES,
)
@documented(s.ScaledVerifyParameters)
def verify(
    *,
    source: p.Source,
    target: p.Target,
    endpoint_url: p.EndpointUrl = None,
    request_payer: p.RequestPayer = False,
    no_sign_request: p.NoSignRequest = False,
    include: p.Include = [],  # noqa: B006 - read only; a form needs a list
    exclude: p.Exclude = [],  # noqa: B006
    newest: p.Newest = None,
    order_by: p.Order = NewestBy.CREATED,
    tags_from: p.TagsFrom = None,
    split_by_name: p.SplitByName = False,
    rename: p.Rename = [],  # noqa: B006
    flatten: p.Flatten = None,
    strict_names: p.StrictNames = False,
    untagged: p.UntaggedChoice = Untagged.NONE,
    exclude_referrers: p.ExcludeReferrers = False,
    depth: p.DepthChoice = Depth.BLOBS,
    content_part: p.ContentPartChoice = None,
    jobs: p.Jobs = 8,
    limit_rate: pace.LimitRate = None,
    max_requests: pace.MaxRequests = None,
    hours: pace.AllowedHours = None,
    limits_from: pace.LimitsFrom = None,
    plain_http: p.PlainHttp = False,
    ca_file: p.CaFile = None,
    registry_kind: p.Kind = RegistryKind.AUTO,
    state: p.State = None,
    source_name: p.SourceName = None,
    report: p.Report = None,
    metrics: p.Metrics = None,
    traces: p.Traces = False,
    shards: s.Shards = 1,
    shard_deployment: s.ShardDeployment = "verify-shard/shard",
    task_runner: s.TaskRunnerChoice = s.TaskRunner.THREADS,
    dask_scheduler: s.DaskScheduler = None,
) -> State[None] | None:
    """Prove that the registry holds every repository and tag of a tree of image layouts."""
    given = filled_in(s.ScaledVerifyParameters, locals())
    return run_as_flow(RunKind.VERIFY, given.to_options(), work_for(given))
