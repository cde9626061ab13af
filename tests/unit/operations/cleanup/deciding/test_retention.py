"""Which tags stay: what each rule promises, and what holds for all of them together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.oci.digest import Digest
from tasks.operations.choosing.tag_order import DatedTag, OrderBy
from tasks.operations.cleanup.deciding.policy import (
    DAY,
    OtherTags,
    Per,
    Period,
    RepositoryPolicy,
    TagRule,
    select_repositories,
    select_tags,
)
from tasks.operations.cleanup.deciding.retention import decide_tags, describe, human_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC).timestamp()


def rule(*match: str, exclude: tuple[str, ...] = (), **fields: Any) -> TagRule:
    return TagRule(select_tags(match or ("*",), exclude), " ".join(match), **fields)


def policy(*rules: TagRule, **fields: Any) -> RepositoryPolicy:
    return RepositoryPolicy("p", select_repositories(["**"]), rules, **fields)


def tag(name: str, days: float | None = 0.0) -> DatedTag:
    """A tag that was made so many days ago."""
    return DatedTag(name, Digest.of(name.encode()), None if days is None else NOW - days * DAY)


def kept(tags: Iterable[DatedTag], chosen: RepositoryPolicy, *protected: Digest) -> set[str]:
    verdicts = decide_tags(list(tags), chosen, NOW, protected)
    assert all(verdict.reason for verdict in verdicts.values())
    return {name for name, verdict in verdicts.items() if verdict.keep}


def test_keep_last_keeps_the_newest_whatever_their_order() -> None:
    tags = [tag("c", 3), tag("a", 1), tag("d", 4), tag("b", 2)]
    assert kept(tags, policy(rule(keep_last=2))) == {"a", "b"}


def test_a_tag_that_no_rule_matches_stays_unless_others_go() -> None:
    tags = [tag("v1"), tag("other")]
    assert kept(tags, policy(rule("v*"))) == {"other"}
    assert kept(tags, policy(rule("v*"), other_tags=OtherTags.DELETE)) == set()


def test_a_tag_that_any_rule_keeps_stays() -> None:
    tags = [tag("v1", 50), tag("v2", 60)]
    assert kept(tags, policy(rule("*"), rule("v2", keep_all=True))) == {"v2"}


@pytest.mark.parametrize("order", [OrderBy.CREATED, OrderBy.MANIFEST_MODIFIED])
def test_unknown_ages_are_kept_and_take_no_place(order: OrderBy) -> None:
    tags = [tag("unknown", None), tag("new", 1), tag("old", 2)]
    assert kept(tags, policy(rule(keep_last=1), order_by=order)) == {"unknown", "new"}
    assert kept(tags, policy(rule(keep_within=DAY))) == {"unknown", "new"}
    assert kept(tags, policy(rule(keep_periods=((Period.DAILY, 1),)))) == {"unknown", "new"}


def test_an_order_by_name_asks_for_no_age() -> None:
    tags = [tag("b9", None), tag("b10", None), tag("b2", None)]
    assert kept(tags, policy(rule(keep_last=1), order_by=OrderBy.NAME)) == {"b10"}


def test_what_is_no_version_stays_where_the_order_is_by_version() -> None:
    tags = [tag("1.2.0"), tag("1.10.0"), tag("main")]
    assert kept(tags, policy(rule(keep_last=1), order_by=OrderBy.SEMVER)) == {"1.10.0", "main"}


def test_keep_within_counts_from_now() -> None:
    tags = [tag("a", 0.5), tag("b", 1.0), tag("c", 1.5)]
    assert kept(tags, policy(rule(keep_within=DAY))) == {"a", "b"}


@pytest.mark.parametrize(
    ("period", "days", "expected"),
    [
        (Period.DAILY, (0, 0.1, 1, 1.1, 5), {0, 1}),
        (Period.WEEKLY, (1, 2, 8, 9, 30), {1, 8}),  # 14 June 2026 is a Sunday
        (Period.MONTHLY, (0, 10, 20, 40, 80), {0, 20}),
        (Period.YEARLY, (0, 100, 200, 400, 800), {0, 200}),
    ],
)
def test_a_period_keeps_its_newest_and_empty_ones_do_not_count(
    period: Period, days: tuple[float, ...], expected: set[float]
) -> None:
    tags = [tag(str(day), day) for day in days]
    assert kept(tags, policy(rule(keep_periods=((period, 2),)))) == set(map(str, expected))


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        (Per.ALL, {"2.1.0"}),
        (Per.MAJOR, {"2.1.0", "1.3.1"}),
        (Per.MINOR, {"2.1.0", "2.0.5", "1.3.1", "v1.2.9"}),
    ],
)
def test_the_newest_versions_of_each_line_stay(per: Per, expected: set[str]) -> None:
    names = ["1.3.0", "2.1.0-rc.1", "2.0.5", "1.2.8", "2.1.0", "1.3.1", "v1.2.9"]
    assert kept(map(tag, names), policy(rule(keep_newest_semver=1, per=per))) == expected


def test_two_names_of_one_version_take_one_place() -> None:
    """As builds push `1.3.0` and `v1.3.0` at once."""
    names = [f"{v}1.{minor}.{patch}" for minor, patch in ((2, 0), (2, 1), (3, 0)) for v in ("", "v")]
    assert kept(map(tag, names), policy(rule(keep_newest_semver=2))) == {*names} - {"1.2.0", "v1.2.0"}
    per_minor = kept(map(tag, names), policy(rule(keep_newest_semver=1, per=Per.MINOR)))
    assert per_minor == {"1.3.0", "v1.3.0", "1.2.1", "v1.2.1"}


def test_a_prerelease_takes_no_place_of_a_release() -> None:
    """Nor does what looks like one, as `1.9.0-alpine` does."""
    names = ["1.8.0", "1.9.0", "1.9.0-alpine", "2.0.0-rc.1", "2.0.0-rc.2"]
    assert kept(map(tag, names), policy(rule(keep_newest_semver=1))) == {"1.9.0", "2.0.0-rc.2"}
    per_major = kept(map(tag, names), policy(rule(keep_newest_semver=2, per=Per.MAJOR)))
    assert per_major == {"1.8.0", "1.9.0", "1.9.0-alpine", "2.0.0-rc.1", "2.0.0-rc.2"}
    verdicts = decide_tags(list(map(tag, names)), policy(rule(keep_newest_semver=1)), NOW)
    assert verdicts["1.9.0"].reason.startswith("1 of the 1 newest releases (")


def test_what_is_no_version_stays_where_a_rule_asks_for_versions_alone() -> None:
    """Tags that move along with versions are none, nor are dates with zeroes in front."""
    names = ["1.2.3", "1.2.2", "1.2", "1", "main", "2024.09.01"]
    tags = [tag(name, 5) for name in names]
    assert kept(tags, policy(rule(keep_newest_semver=1))) == {*names} - {"1.2.2"}
    for more in ({"keep_within": DAY}, {"keep_periods": ((Period.YEARLY, 0),)}):
        assert kept(tags, policy(rule(keep_newest_semver=1, **more))) == {"1.2.3"}


def test_a_rule_that_asks_for_versions_alone_asks_for_no_age() -> None:
    tags = [tag("1.2.3", None), tag("1.2.2", None)]
    assert kept(tags, policy(rule(keep_newest_semver=1))) == {"1.2.3"}


def test_what_is_protected_stays() -> None:
    chosen = policy(rule(), protected_tags=select_tags(["latest"]))
    assert kept([tag("latest"), tag("v1"), tag("v2")], chosen, tag("v2").digest) == {"latest", "v2"}


def test_a_reason_names_the_rule_and_the_policy() -> None:
    verdicts = decide_tags([tag("a", 1), tag("b", 2)], policy(rule(keep_last=1)), NOW)
    assert verdicts["b"].reason == "beyond keep_last 1 of policy p"
    assert verdicts["a"].reason.startswith("1 of the 1 newest by created")
    verdicts = decide_tags([tag("2.1.0"), tag("1.3.1")], policy(rule(keep_newest_semver=1, per=Per.MAJOR)), NOW)
    assert verdicts["1.3.1"].reason.startswith("1 of the 1 newest versions of its major")
    verdicts = decide_tags([tag("2.1.0")], policy(rule(keep_newest_semver=1)), NOW)
    assert verdicts["2.1.0"].reason.startswith("1 of the 1 newest versions (")


def test_a_rule_is_described_in_the_words_of_its_file() -> None:
    everything = rule(
        keep_last=1, keep_within=36 * 3600, keep_periods=((Period.DAILY, 2),), keep_newest_semver=3, per=Per.MINOR
    )
    assert describe(everything) == "keep_last 1, keep_within 36h, keep_daily 2, keep_newest_semver 3 per minor"
    newest = {"keep_newest_semver": 3}
    assert [describe(rule(**fields)) for fields in ({}, {"keep_all": True}, newest)] == [
        "keep none",
        "keep all",
        "keep_newest_semver 3",
    ]
    assert [human_duration(s) for s in (86400 * 3, 86400, 600, 90, 0.5, 0)] == [
        "3d",
        "1d",
        "10m",
        "90s",
        "0.5s",
        "0s",
    ]


_names = st.one_of(
    st.text("abv0123456789.-", min_size=1, max_size=6),
    st.from_regex(r"v?[0-3]\.[0-3]\.[0-3](-rc\.[0-2])?", fullmatch=True),
)
_tags = st.lists(
    st.builds(tag, _names, st.none() | st.floats(0, 1000)), max_size=12, unique_by=lambda dated: dated.tag
)
_counts = st.none() | st.integers(1, 5)
_matches = st.sampled_from(["*", "v*", "regex:.*[0-9]"])
_mixed = st.builds(
    rule,
    _matches,
    keep_last=_counts,
    keep_within=st.none() | st.floats(0, 500 * DAY),
    keep_periods=st.lists(st.tuples(st.sampled_from(Period), st.integers(1, 4)), max_size=2).map(tuple),
    keep_newest_semver=_counts,
    per=st.sampled_from(Per),
    keep_all=st.booleans(),
)
_of_versions = st.builds(rule, _matches, keep_newest_semver=st.integers(1, 2), per=st.sampled_from(Per))
_rules = _mixed | _of_versions
_orders = st.sampled_from(OrderBy)


@given(_tags, st.lists(_rules, max_size=3), _orders)
def test_more_rules_never_keep_less(tags: list[DatedTag], rules: list[TagRule], order: OrderBy) -> None:
    everything = policy(rule("*"), *rules, order_by=order)
    for count in range(len(rules)):
        assert kept(tags, policy(rule("*"), *rules[:count], order_by=order)) <= kept(tags, everything)


@given(_tags, _rules, _orders, st.randoms())
def test_the_order_of_the_index_does_not_matter(
    tags: list[DatedTag], chosen: TagRule, order: OrderBy, random: Any
) -> None:
    shuffled = list(tags)
    random.shuffle(shuffled)
    assert kept(tags, policy(chosen, order_by=order)) == kept(shuffled, policy(chosen, order_by=order))


@given(_tags, st.integers(1, 12))
def test_keep_last_keeps_as_many_as_it_says_and_none_that_is_older(tags: list[DatedTag], count: int) -> None:
    stay = kept(tags, policy(rule("*", keep_last=count)))
    dated = [each for each in tags if each.when is not None]
    newest = [each for each in dated if each.tag in stay]
    assert len(newest) == min(count, len(dated))
    gone = [each.when for each in dated if each.tag not in stay]
    assert not gone or max(filter(None, gone)) <= min(each.when or 0.0 for each in newest)


@given(_tags, _rules)
def test_whatever_has_no_known_age_stays_under_rules_of_age(tags: list[DatedTag], chosen: TagRule) -> None:
    if chosen.keep_last or chosen.keep_within is not None or chosen.keep_periods:
        unknown = {each.tag for each in tags if each.when is None}
        assert unknown <= kept(tags, policy(chosen))
