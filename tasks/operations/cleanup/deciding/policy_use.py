"""Which parts of a policy were about nothing that a source has: most likely they are mistyped. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.operations.choosing.selection import Selection
from tasks.operations.cleanup.deciding.policy import PROTECTED_ANYWAY, select_tags
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.operations.cleanup.deciding.policy import Policy, RepositoryPolicy, TagRule
    from tasks.operations.cleanup.values import RepositoryPlan

_RULE, _EXCLUDE = "", "the exclude "


@dataclass(slots=True)
class PolicyUse:
    """Sees repositories and their plans go by; safe to share among threads."""

    policy: Policy
    _used: dict[str, set[str]] = field(default_factory=dict)
    _hidden: dict[tuple[str, str], str] = field(default_factory=dict)
    _excludes: set[tuple[str, int]] = field(default_factory=set)
    _rules: set[tuple[str, int, str, str]] = field(default_factory=set)
    _protects: set[str] = field(default_factory=set)
    _unread: set[str] = field(default_factory=set)
    _protected: Selection = field(init=False)

    def __post_init__(self) -> None:
        """Read what somebody wanted protected beyond what is so anyway."""
        self._protected = select_tags([each for each in self.policy.shown_protected if each not in PROTECTED_ANYWAY])

    def note(self, path: str) -> None:
        """See a repository of the source, be any policy about it or not."""
        decides = self.policy.of(path)
        for each in self.policy.policies:
            fitting = (
                place for place, pattern in enumerate(each.repositories.exclude) if pattern.matches(path, None)
            )
            self._excludes.update((each.name, place) for place in fitting)
            if decides is None or not each.repositories.matches(path, None):
                continue
            for text in each.repositories.fitting(path, None):
                if each is decides:
                    self._used.setdefault(each.name, set()).add(text)
                else:
                    hidden = f"{path} is decided by {decides.name!r}, which stands before it"
                    self._hidden.setdefault((each.name, text), hidden)

    def see(self, plan: RepositoryPlan) -> RepositoryPlan:
        """See the plan of a repository; the plan itself, unchanged."""
        decides = self.policy.of(plan.path)
        if decides is not None:
            if plan.refused is not None:
                self._unread.add(decides.name)
            tags = list(_tags(plan))
            self._protects |= self._protected.fitting(".", tags)
            for place, kind, patterns in _all_patterns(decides.rules):
                self._rules.update((decides.name, place, kind, each) for each in patterns.fitting(".", tags))
        return plan

    def findings(self) -> Iterator[Finding]:
        """What fitted nothing.

        Nothing is said of tags where a repository was not read, nor of a rule that keeps nothing: it leaves none
        that fits.
        """
        for policy in self.policy.policies:
            for message in self._messages(policy):
                yield Finding(".", Remark.POLICY_UNUSED, f"policy {policy.name!r}{message}")
        for text in () if self._unread else self._protected.unused(self._protects, ()):
            message = f"protect.tags: no tag that a policy is about fits {_as_written(text)}"
            yield Finding(".", Remark.POLICY_UNUSED, message)

    def _messages(self, policy: RepositoryPolicy) -> Iterator[str]:
        for place, text in enumerate(policy.shown_excludes):
            if (policy.name, place) not in self._excludes:
                yield f": no repository of the source fits its exclude {text!r}"
        used = self._used.get(policy.name)
        unused = policy.repositories.unused(used or (), ())
        hidden = {text: self._hidden[policy.name, text] for text in unused if (policy.name, text) in self._hidden}
        if used is None:
            first = next(iter(hidden.values()), None)
            yield " is about no repository of the source" if first is None else f" decides about nothing: {first}"
            return
        for text in unused:
            if text in hidden:
                yield f": its {text!r} decides about nothing: {hidden[text]}"
            else:
                yield f": no repository of the source fits its {text!r}"
        for place, kind, patterns in () if policy.name in self._unread else _all_patterns(policy.rules):
            for text in patterns.unused((), ()):
                if (policy.name, place, kind, text) not in self._rules:
                    yield f": no tag of its repositories fits {kind}{_as_written(text)}"


def _all_patterns(rules: Iterable[TagRule]) -> Iterator[tuple[int, str, Selection]]:
    """The patterns by which rules keep something, each with the rule's place: what they are about, and leave out."""
    for place, rule in enumerate(rules):
        if rule.keeps_any:
            yield place, _RULE, Selection(rule.tags.include)
        yield place, _EXCLUDE, Selection(rule.tags.exclude)


def _as_written(pattern: str) -> str:
    return repr(pattern.removeprefix(":"))  # which is how the engine knows that it is about tags


def _tags(plan: RepositoryPlan) -> Iterator[str]:
    """The tags of a repository as rules see them."""
    return (decision.meant for decision in plan.tags if decision.meant is not None)
