"""What of a policy was about nothing is named: it is mistyped, or stands behind one that decides before it."""

from collections.abc import Mapping, Sequence

import pytest

from tasks.oci.digest import Digest
from tasks.operations.cleanup.deciding.policy import (
    Policy,
    RepositoryPolicy,
    TagRule,
    select_repositories,
    select_tags,
)
from tasks.operations.cleanup.deciding.policy_use import PolicyUse
from tasks.operations.cleanup.values import CleanupAction, RepositoryPlan, TagDecision
from tasks.operations.reports.findings import is_harmful
from tasks.ports import Refusal

SOURCE = {"team/app": ["v1", "latest"], "team/web": [], "release/core": ["v1"]}


def about(name: str, include: str, *match: str, exclude: Sequence[str] = ()) -> RepositoryPolicy:
    rules = tuple(TagRule(select_tags([text]), text, keep_last=1) for text in match)
    return RepositoryPolicy(name, select_repositories([include], exclude), rules, shown_excludes=tuple(exclude))


def plan(path: str, tags: Sequence[str], refused: Refusal | None = None) -> RepositoryPlan:
    decisions = tuple(TagDecision(tag, Digest.of(tag.encode()), CleanupAction.KEEP, "") for tag in tags)
    return RepositoryPlan(path, "", tags=decisions, refused=refused)


def unused(policies: Sequence[RepositoryPolicy], plans: Mapping[str, RepositoryPlan]) -> list[str]:
    use = PolicyUse(Policy(tuple(policies)))
    for path, tags in SOURCE.items():
        use.note(path)
        if use.policy.of(path) is not None:
            use.see(plans.get(path) or plan(path, tags))
    found = list(use.findings())
    assert not any(map(is_harmful, found))
    return [finding.message for finding in found]


@pytest.mark.parametrize(
    ("policies", "messages"),
    [
        ([about("all", "**", "v*", "latest")], []),
        (
            [about("all", "**", "v*"), about("releases", "release/*", "*")],
            ["policy 'releases' decides about nothing: release/core is decided by 'all', which stands before it"],
        ),
        ([about("releases", "release/*", "*"), about("all", "**", "v*")], []),
        (
            [about("teams", "teams/*", "*"), about("all", "**", "v*")],
            ["policy 'teams' is about no repository of the source"],
        ),
        ([about("all", "**", "v*", "nigthly-*")], ["policy 'all': no tag of its repositories fits 'nigthly-*'"]),
        (
            [about("all", "**", "v*", exclude=["app", "team/web"])],
            ["policy 'all': no repository of the source fits its exclude 'app'"],
        ),
    ],
)
def test_what_fits_nothing_is_named(policies: Sequence[RepositoryPolicy], messages: list[str]) -> None:
    assert unused(policies, {}) == messages


def test_each_pattern_of_repositories_that_decides_about_nothing_is_named() -> None:
    """What stands for one repository behind a policy for all of them is never heard."""
    some = RepositoryPolicy("some", select_repositories(["release/*", "team/app", "taem/*"]), ())
    team = RepositoryPolicy("team", select_repositories(["team/*"]), ())
    assert unused([team, some], {}) == [
        "policy 'some': its 'team/app' decides about nothing: team/app is decided by 'team', which stands before it",
        "policy 'some': no repository of the source fits its 'taem/*'",
    ]
    assert unused([some, team], {}) == ["policy 'some': no repository of the source fits its 'taem/*'"]


def of_tags(match: Sequence[str], exclude: Sequence[str] = (), keep_last: int | None = 1) -> RepositoryPolicy:
    rule = TagRule(select_tags(match, exclude), " ".join(match), keep_last=keep_last)
    return RepositoryPolicy("all", select_repositories(["**"]), (rule,))


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (of_tags(["v*", "relase-*"]), "no tag of its repositories fits 'relase-*'"),
        (of_tags(["*"], ["relase-*", "v1"]), "no tag of its repositories fits the exclude 'relase-*'"),
        (of_tags(["*"], ["relase-*"], None), "no tag of its repositories fits the exclude 'relase-*'"),
    ],
    ids=["one pattern of several", "exclude", "exclude of what keeps nothing"],
)
def test_each_pattern_that_would_have_kept_something_is_named(policy: RepositoryPolicy, message: str) -> None:
    assert unused([policy], {}) == [f"policy 'all': {message}"]


def test_a_tag_inside_a_whole_reference_is_the_one_that_rules_see() -> None:
    whole = {path: plan(path, ["registry.example/app:v1"]) for path in SOURCE}
    assert unused([of_tags(["v*"])], whole) == []
    assert unused([of_tags(["registry*"])], whole) == ["policy 'all': no tag of its repositories fits 'registry*'"]


def protecting(*tags: str) -> Policy:
    return Policy((of_tags(["*"]),), shown_protected=tags)


@pytest.mark.parametrize(
    ("policy", "messages"),
    [
        (protecting("latest", "stable", "v*"), []),
        (protecting("pord-*"), ["protect.tags: no tag that a policy is about fits 'pord-*'"]),
    ],
    ids=["those that are protected anyway", "mistyped"],
)
def test_what_protects_nothing_is_named(policy: Policy, messages: list[str]) -> None:
    use = PolicyUse(policy)
    for path, tags in SOURCE.items():
        use.note(path)
        use.see(plan(path, tags))
    assert [finding.message for finding in use.findings()] == messages


def test_a_tag_with_a_digest_behind_it_fits_as_it_is_meant() -> None:
    digest = Digest.of(b"pinned")
    pinned = TagDecision(f"1.25@{digest}", digest, CleanupAction.KEEP, "", "1.25")
    plans = {"team/app": RepositoryPlan("team/app", "", (pinned,))}
    assert unused([about("app", "team/app", "1.25")], plans) == []


def test_a_rule_that_keeps_nothing_leaves_no_tag_that_fits() -> None:
    nothing = RepositoryPolicy("all", select_repositories(["**"]), (TagRule(select_tags(["pr-*"]), "pr-*"),))
    assert unused([nothing], {}) == []


def test_of_a_repository_that_was_not_read_nobody_knows_the_tags() -> None:
    refused = {"team/app": plan("team/app", [], Refusal("invalid_layout", "cut"))}
    assert unused([about("app", "team/app", "v*")], refused) == []
