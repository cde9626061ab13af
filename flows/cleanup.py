"""The flow that cleans up a tree of image layouts by a policy, after somebody said yes to its plan."""

from __future__ import annotations

from prefect import State  # Prefect evaluates annotations: where one can't be, the form loses all types

from flows.course.cleanup_course import clean_up
from flows.dashboard.blocks import resolved_cleanup
from flows.forms import cleanup_parameters as c
from flows.forms import parameter_fields as p
from flows.forms.filled_in import filled_in
from flows.forms.parameters import documented
from flows.server.own_flow import flow


@flow(name="cleanup", flow_run_name="cleanup {source}", persist_result=False)
@documented(c.CleanupParameters)
def cleanup(
    *,
    source: p.Source,
    policy: c.PolicyPath,
    gate: c.GateTarget = None,
    auto_apply: c.AutoApply = False,
    approval_within: c.ApprovalWithin = "6d",
    i_am_the_only_writer: c.OnlyWriter = False,
    max_tags: c.MaxTags = None,
    max_percent: c.MaxPercent = None,
    min_tags_left: c.MinTagsLeft = None,
    max_bytes: c.MaxBytes = None,
    jobs: c.Readers = 16,
    endpoint_url: p.EndpointUrl = None,
    request_payer: p.RequestPayer = False,
    plain_http: p.PlainHttp = False,
    ca_file: p.CaFile = None,
    state: c.PlansFolder = None,
) -> State[None]:
    """Plan a cleanup, wait for a yes or keep within the limits, and apply that very plan."""
    given = filled_in(c.CleanupParameters, locals())
    return clean_up(*resolved_cleanup(given))
