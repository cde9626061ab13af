"""Decides, without any effect: names at the target, and what is to become of each tag."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tasks.oci.codes import Refused
from tasks.oci.errors import InvalidReferenceError, NameCollisionError, ReferrerConflictError
from tasks.oci.reference import is_own_name, is_repository, map_repository, parse_referrers_tag
from tasks.operations.reports.results import Depth, TagEntry, UntaggedKind
from tasks.ports import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tasks.oci.digest import Digest
    from tasks.oci.reference import TargetAddress
    from tasks.oci.registry_profiles import RegistryProfile
    from tasks.operations.reports.results import RepositoryInventory


class OnConflict(StrEnum):
    """What to do with a tag that the target has with a digest that is not of our writing."""

    REFUSE = "refuse"
    OVERWRITE = "overwrite"
    SKIP = "skip"
    FAIL = "fail"


class Untagged(StrEnum):
    """Which untagged entries to copy by themselves; platform children and referrers follow their tags anyway."""

    NONE = "none"
    MOVED = "moved"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class CopyPolicy:
    """The user's decisions that shape a migration."""

    untagged: Untagged = Untagged.NONE
    referrers: bool = True
    on_conflict: OnConflict = OnConflict.REFUSE
    backup_tag: str | None = None
    depth: Depth = Depth.MANIFEST
    strict_names: bool = False
    fail_fast: bool = False
    prove_again: bool = False
    """Whether nothing counts that an earlier run proved."""

    def backup_of(self, tag: str) -> str | None:
        """Under which other tag is kept what `tag` has before it is overwritten; None where nothing is to be kept."""
        return None if self.backup_tag is None else self.backup_tag.replace("{tag}", tag)


class TagAction(StrEnum):
    """What a plan says of a tag."""

    COPY = "copy"
    OVERWRITE = "overwrite"
    UP_TO_DATE = "up_to_date"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class TagPlan:
    """The action for a tag; `code` and `message` say why it is refused, `is_theirs` that others lose what was there.

    It rests on the digest that the target had, `seen`, at the time `as_of`, by `uptime`. `owner` is the
    other layout of the source that brought it.
    """

    action: TagAction
    code: str | None = None
    message: str | None = None
    seen: Digest | None = None
    as_of: float = 0.0
    is_theirs: bool = False
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class NamePlan:
    """Where each layout goes: target repositories by path, and why those that can't are refused."""

    repositories: Mapping[str, str]
    refused: Mapping[str, Refusal]


def plan_names(
    paths: Iterable[str],
    address: TargetAddress,
    rename: Callable[[str], str],
    *,
    own_name: str,
    strict: bool,
    flatten: int | None = None,
    profile: RegistryProfile,
) -> NamePlan:
    """Give every layout its repository at the target.

    `own_name` stands for the path `.`, the source itself being a layout, unless that is renamed. Several layouts
    that would have one name are all refused: which of them is meant, nobody can tell. With `flatten`, a name has so
    many components at most, those of the address's prefix among them.
    """
    wanted: dict[str, list[str]] = defaultdict(list)
    refused: dict[str, Refusal] = {}
    for path in paths:
        try:
            renamed = rename(path)
            named = rename(own_name) if renamed == "." else renamed
            name = _target_name(named, address, strict=strict, flatten=flatten)
            wanted[profile.repository(name)].append(path)
        except InvalidReferenceError as error:
            refused[path] = Refusal(error.code, str(error))
    for name, sharing in wanted.items():
        if len(sharing) > 1:
            listed = ", ".join(repr(path) for path in sharing[:5])
            message = f"{len(sharing)} layouts would have the name {name}: {listed}"
            refused |= dict.fromkeys(sharing, Refusal(NameCollisionError.code, message))
    return NamePlan({sharing[0]: name for name, sharing in wanted.items() if len(sharing) == 1}, refused)


def _target_name(renamed: str, address: TargetAddress, *, strict: bool, flatten: int | None) -> str:
    if strict and not is_repository(renamed):
        raise InvalidReferenceError(f"registries don't take the name {renamed!r}, and --strict-names maps none")
    name = map_repository(renamed)
    return address.repository(name if flatten is None else _flattened(name, flatten - address.depth))


def _flattened(name: str, most: int) -> str:
    """The name with so many components at most: what is deeper is joined to the last of them by hyphens."""
    *kept, last = name.split("/", most - 1)
    return "/".join([*kept, last.replace("/", "-")])


def plan_tag(entry: TagEntry, present: Digest | None, ours: str | None, policy: CopyPolicy) -> TagPlan:
    """What to do with a tag that the target has with the digest `present`; `ours` is what we last wrote there.

    Tags that name a digest hold referrers, and those that others put there are never overwritten, whatever the
    policy. Where the source has what is named itself, the target may have its list there all the same.
    """
    if present is None:
        return TagPlan(TagAction.COPY)
    if present == entry.descriptor.digest:
        return TagPlan(TagAction.UP_TO_DATE)
    tag = entry.tag or ""
    if ours != present and parse_referrers_tag(tag) is not None:
        what = "other content or referrers" if is_own_name(tag, entry.descriptor.digest) else "other referrers"
        message = f"the target has {what} ({present}) under this tag, and keeps them"
        return TagPlan(TagAction.REFUSE, ReferrerConflictError.code, message)
    if ours == present or policy.on_conflict is OnConflict.OVERWRITE:
        return TagPlan(TagAction.OVERWRITE, is_theirs=ours != present)
    if policy.on_conflict is OnConflict.SKIP:
        message = f"the target has {present} under this tag, and keeps it"
        return TagPlan(TagAction.REFUSE, Refused.CONFLICT_SKIPPED, message)
    message = f"the target has {present} under this tag, which this migration did not write"
    return TagPlan(TagAction.REFUSE, Refused.CONFLICT, message)


def plan_untagged(inventory: RepositoryInventory, policy: CopyPolicy) -> tuple[TagEntry, ...]:
    """The untagged entries to copy by their digest."""
    if policy.untagged is Untagged.NONE:
        return ()
    if policy.untagged is Untagged.ALL:
        return inventory.untagged
    return tuple(entry for entry in inventory.untagged if entry.kind is UntaggedKind.MOVED)
