"""The flow that migrates a tree of image layouts into a registry."""

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
from tasks.operations.work.planning import OnConflict, Untagged
from tasks.run_options import RunKind


@flow(
    name="migrate",
    flow_run_name="{source} → {target}",
    **OF_BATCHES,
)
@documented(s.ScaledMigrateParameters)
def migrate(
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
    depth: p.DepthChoice = Depth.MANIFEST,
    on_conflict: p.OnConflictChoice = OnConflict.REFUSE,
    backup_tag: p.BackupTag = None,
    create_repositories: p.CreateRepositories = False,
    immutable_tags: p.ImmutableTags = False,
    scan_on_push: p.ScanOnPush = False,
    fail_fast: p.FailFast = False,
    lock_timeout: p.LockTimeout = "0s",
    jobs: p.Jobs = 8,
    limit_rate: pace.LimitRate = None,
    since_last: p.SinceLast = False,
    delete_vanished: p.DeleteVanished = False,
    delete_max_tags: p.DeleteMaxTags = 100,
    delete_max_percent: p.DeleteMaxPercent = 25.0,
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
    shard_deployment: s.ShardDeployment = "migrate-shard/shard",
    task_runner: s.TaskRunnerChoice = s.TaskRunner.THREADS,
    dask_scheduler: s.DaskScheduler = None,
) -> State[None] | None:
    """Lift every repository and tag of a tree of image layouts into a registry, verified."""
    given = filled_in(s.ScaledMigrateParameters, locals())
    return run_as_flow(RunKind.MIGRATE, given.to_options(), work_for(given))
