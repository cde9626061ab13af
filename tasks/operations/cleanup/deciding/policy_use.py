"""Which parts of a policy were about nothing that a source has: most likely they are mistyped. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.operations.reports.run_log import POLICY_UNUSED
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.operations.cleanup.deciding.policy import Policy, RepositoryPolicy
    from tasks.operations.cleanup.values import RepositoryPlan


@dataclass(slots=True)
class PolicyUse:
    """Sees repositories and their plans go by; safe to share among threads."""

    policy: Policy
    _used: set[str] = field(default_factory=set)
    _hidden: dict[str, str] = field(default_factory=dict)
    _excludes: set[tuple[str, int]] = field(default_factory=set)
    _rules: set[tuple[str, int]] = field(default_factory=set)
    _unread: set[str] = field(default_factory=set)

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
            if each is decides:
                self._used.add(each.name)
            else:
                self._hidden.setdefault(each.name, f"{path} is decided by {decides.name!r}, which stands before it")

    def see(self, plan: RepositoryPlan) -> RepositoryPlan:
        """See the plan of a repository; the plan itself, unchanged."""
        decides = self.policy.of(plan.path)
        if decides is not None:
            if plan.refused is not None:
                self._unread.add(decides.name)
            self._rules.update((decides.name, place) for place in _fitting(decides, (t.tag for t in plan.tags)))
        return plan

    def findings(self) -> Iterator[Finding]:
        """What fitted nothing.

        No rule is said to where a repository was not read, nor one that keeps nothing: it leaves none that fits.
        """
        for policy in self.policy.policies:
            for message in self._messages(policy):
                yield Finding(".", POLICY_UNUSED, f"policy {policy.name!r}{message}")

    def _messages(self, policy: RepositoryPolicy) -> Iterator[str]:
        for place, text in enumerate(policy.shown_excludes):
            if (policy.name, place) not in self._excludes:
                yield f": no repository of the source fits its exclude {text!r}"
        if policy.name not in self._used:
            hidden = self._hidden.get(policy.name)
            yield " is about no repository of the source" if hidden is None else f" decides about nothing: {hidden}"
            return
        for place, rule in enumerate(policy.rules):
            is_known = policy.name not in self._unread and rule.keeps_any
            if is_known and (policy.name, place) not in self._rules:
                yield f": no tag of its repositories fits {rule.shown!r}"


def _fitting(policy: RepositoryPolicy, tags: Iterable[str]) -> Iterator[int]:
    """The rules that any of the tags fits."""
    known = list(tags)
    return (place for place, rule in enumerate(policy.rules) if any(rule.tags.matches(".", tag) for tag in known))
