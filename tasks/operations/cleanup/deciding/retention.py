"""Which tags of a repository stay, and why. Pure: the same tags, policy and time give the same answer.

A tag that any rule keeps is kept; one that no rule matches is kept unless the policy says otherwise; one whose
age is not known, or lies in the future, is kept by every rule that asks for ages and takes nobody's place. So is
one that is no version by a rule that asks for versions alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.operations.choosing.semver import is_release, parse_version
from tasks.operations.choosing.tag_order import OrderBy, newest_first, newest_made_first
from tasks.operations.cleanup.deciding.policy import OtherTags, Per, Period

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from tasks.oci.digest import Digest
    from tasks.operations.choosing.semver import Key
    from tasks.operations.choosing.tag_order import DatedTag
    from tasks.operations.cleanup.deciding.policy import RepositoryPolicy, TagRule

_PERIODS: dict[Period, Callable[[datetime], tuple[int, ...]]] = {
    Period.DAILY: lambda moment: (moment.year, moment.month, moment.day),
    Period.WEEKLY: lambda moment: moment.isocalendar()[:2],
    Period.MONTHLY: lambda moment: (moment.year, moment.month),
    Period.YEARLY: lambda moment: (moment.year,),
}
_LINES: dict[Per, Callable[[Key], tuple[int, ...]]] = {
    Per.ALL: lambda _: (),
    Per.MAJOR: lambda version: version[0][:1],
    Per.MINOR: lambda version: version[0][:2],
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a tag stays, and the words that say why; `is_demanded` if somebody named this very entry."""

    reason: str
    keep: bool = True
    is_demanded: bool = False


def decide_tags(
    tags: Sequence[DatedTag],
    policy: RepositoryPolicy,
    now: float,
    protected: Collection[Digest] = frozenset(),
) -> Mapping[str, Verdict]:
    """The verdict on each tag of one repository, by its name."""
    kept = {tag.tag: reason for tag in tags if (reason := protection(tag.tag, tag.digest, policy, protected))}
    matched: dict[str, list[str]] = {}
    for rule in policy.rules:
        members = [tag for tag in tags if rule.tags.matches(".", tag.tag)]
        for tag in members:
            matched.setdefault(tag.tag, []).append(describe(rule))
        for name, reason in _kept_by(rule, members, policy.order_by, now):
            kept.setdefault(name, f"{reason} (tags {rule.shown})")
    return {tag.tag: _verdict(tag.tag, kept, matched, policy) for tag in tags}


def protection(
    tag: str | None, digest: Digest, policy: RepositoryPolicy, protected: Collection[Digest]
) -> str | None:
    """Why an entry stays whatever the rules say, None where they decide."""
    if digest in protected:
        return "its digest is protected"
    if tag is not None and policy.protected_tags is not None and policy.protected_tags.matches(".", tag):
        return "the tag is protected"
    return None


def _verdict(
    tag: str, kept: Mapping[str, str], matched: Mapping[str, list[str]], policy: RepositoryPolicy
) -> Verdict:
    if tag in kept:
        return Verdict(kept[tag])
    if tag in matched:
        return Verdict(f"beyond {'; '.join(matched[tag])} of policy {policy.name}", keep=False)
    if policy.other_tags is OtherTags.DELETE:
        return Verdict(f"no rule of policy {policy.name} matches it, which deletes others", keep=False)
    return Verdict(f"no rule of policy {policy.name} matches it")


def describe(rule: TagRule) -> str:
    """What a rule keeps, in the words of the policy's file."""
    parts = ["keep all"] if rule.keep_all else []
    if rule.keep_last is not None:
        parts.append(f"keep_last {rule.keep_last}")
    if rule.keep_within is not None:
        parts.append(f"keep_within {human_duration(rule.keep_within)}")
    parts += [f"keep_{period} {count}" for period, count in rule.keep_periods]
    if rule.keep_newest_semver is not None:
        per = "" if rule.per is Per.ALL else f" per {rule.per}"
        parts.append(f"keep_newest_semver {rule.keep_newest_semver}{per}")
    return ", ".join(parts or ["keep none"])


def _kept_by(rule: TagRule, members: list[DatedTag], order_by: OrderBy, now: float) -> Iterator[tuple[str, str]]:
    """The names that a rule keeps, each with a reason; a name may come more than once."""
    if rule.keep_all:
        yield from ((tag.tag, "all are kept") for tag in members)
        return
    if rule.keep_newest_semver is not None:
        yield from _newest_versions(members, rule.keep_newest_semver, rule.per)
    dated = newest_made_first(members)
    if _asks_for_ages(rule, order_by):
        yield from ((tag.tag, "its age is not known") for tag in members if tag.when is None)
    if _asks_for_versions(rule, order_by):
        yield from ((t.tag, "it is no version, to be ordered") for t in members if parse_version(t.tag) is None)
    if rule.keep_last is not None:
        yield from _newest(newest_first(members, order_by), rule.keep_last, order_by)
    if rule.keep_within is not None:
        newest = now - rule.keep_within
        reason = f"made within {human_duration(rule.keep_within)}"
        yield from ((tag.tag, reason) for tag in dated if (tag.when or 0.0) >= newest)
    for period, count in rule.keep_periods:
        yield from _newest_of_periods(dated, period, count)


def _asks_for_ages(rule: TagRule, order_by: OrderBy) -> bool:
    by_age = order_by in {OrderBy.CREATED, OrderBy.MANIFEST_MODIFIED}
    return rule.keep_within is not None or bool(rule.keep_periods) or (rule.keep_last is not None and by_age)


def _asks_for_versions(rule: TagRule, order_by: OrderBy) -> bool:
    """Whether nothing else in the rule says what becomes of a tag that is no version."""
    if rule.keep_last is not None:
        return order_by is OrderBy.SEMVER
    return rule.keep_newest_semver is not None and rule.keep_within is None and not rule.keep_periods


def _newest(ordered: list[DatedTag], count: int, order_by: OrderBy) -> Iterator[tuple[str, str]]:
    for place, tag in enumerate(ordered[:count], start=1):
        yield tag.tag, f"{place} of the {count} newest by {order_by}"


def _newest_of_periods(dated: Iterable[DatedTag], period: Period, count: int) -> Iterator[tuple[str, str]]:
    """The newest of each of the last `count` periods that have any, as restic does."""
    seen: set[tuple[int, ...]] = set()
    for tag in dated:
        span = _PERIODS[period](datetime.fromtimestamp(tag.when or 0.0, UTC))
        if span in seen:
            continue
        if len(seen) == count:
            return
        seen.add(span)
        yield tag.tag, f"newest of a period, {period} {len(seen)} of {count}"


def _newest_versions(members: Iterable[DatedTag], count: int, per: Per) -> Iterator[tuple[str, str]]:
    """The newest of all versions, and the newest releases: candidates for the next one take none's place."""
    versions = [(version, tag.tag) for tag in members if (version := parse_version(tag.tag)) is not None]
    releases = [each for each in versions if is_release(each[0])]
    yield from _newest_of_lines(versions, "versions", count, per)
    yield from _newest_of_lines(releases, "releases", count, per)


def _newest_of_lines(
    versions: Iterable[tuple[Key, str]], what: str, count: int, per: Per
) -> Iterator[tuple[str, str]]:
    """A version under two names, as `1.4.0` and `v1.4.0`, takes one place."""
    lines: dict[tuple[int, ...], set[Key]] = {}
    for version, name in sorted(versions, reverse=True):
        line = lines.setdefault(_LINES[per](version), set())
        line.add(version)
        if len(line) <= count:
            yield name, f"{len(line)} of the {count} newest {what}" + ("" if per is Per.ALL else f" of its {per}")


def human_duration(seconds: float) -> str:
    """A duration in the largest unit that fits it without a rest: `90d`, `36h`, `10m`."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length and not seconds % length:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"
