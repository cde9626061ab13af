"""How `delete` and `recover` make their plans, which are applied as those of a cleanup are. No Prefect."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.course.cleanup_planning import cleanup_options, show_and_keep
from tasks.cleanup_plans import make_header, open_planner
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError, InvalidDigestError, RefusedError
from tasks.operations.cleanup.deciding.choices import DeleteChoice
from tasks.operations.cleanup.deciding.policy import Policy
from tasks.operations.cleanup.planning.recovering import marked_left_out, plan_recovery
from tasks.operations.cleanup.values import PlanKind, PlanLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from flows.course.cleanup_planning import ShowPlan
    from flows.forms.cleanup_parameters import DeleteParameters, RecoverParameters
    from tasks.cleanup_plans import CleanupOptions, Planner
    from tasks.operations.cleanup.values import RepositoryPlan, TagDecision
    from tasks.stop import Stop

    Plans = Generator[RepositoryPlan, None, None]

NO_LIMITS = PlanLimits(max_percent=None, min_tags_left=None)
"""Who names what is to go has said how much that is."""


@dataclass(frozen=True, slots=True)
class Named:
    """What somebody wants gone: a repository's path, with a tag, a digest, or neither for all of it."""

    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> tuple[Named, ...]:
        """Read `REPOSITORY[:TAG|@DIGEST]`: all that it may mean, as folders and tags may have colons themselves.

        Raises:
            ConfigurationError: the text is not of this form.
        """
        repository, at, digest = text.partition("@")
        if not at and ":" in text:
            found = tuple(cls(path.strip("/"), tag) for path, tag in _splits(text) if path.strip("/") and tag)
        else:
            found = (cls(repository.strip("/"), digest=_digest(text, digest) if at else None),)
        if not any(each.repository for each in found):
            raise ConfigurationError(f"{text!r} is not REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST")
        return found

    def may_be_in(self, plan: RepositoryPlan) -> bool:
        """Whether the repository has what is named, as far as it can be told."""
        return bool(plan.refused or plan.removals) or any(map(self._is_meant, plan.tags))

    def check_found(self, plan: RepositoryPlan) -> None:
        """Pass where the repository has what is named.

        Raises:
            ConfigurationError: it has nothing of that name.
            RefusedError: it has to stay, as a target does not hold it, or other things have the tag as well.
        """
        self._check_one(plan)
        is_all = self.tag is None and self.digest is None
        if plan.refused or plan.removals or is_all:
            return
        for tag in plan.tags:
            if self._is_meant(tag) or tag.digest == self.digest:
                raise RefusedError(f"{self.repository}:{tag.tag} stays: {tag.reason}")
        for blob in plan.blobs:
            if blob.digest == self.digest:
                if blob.digest in blob.reason:  # it is an entry, and needed by itself
                    raise RefusedError(
                        f"{self.repository}@{blob.digest} is part of an index, and stays as long as that does"
                    )
                raise RefusedError(
                    f"{self.repository}@{blob.digest} is no entry of the index, and stays: {blob.reason}"
                )
        raise ConfigurationError(f"{self.repository!r} has nothing named {self.tag or self.digest}")

    def _is_meant(self, tag: TagDecision) -> bool:
        return self.tag is not None and self.tag in {tag.tag, tag.meant}

    def _check_one(self, plan: RepositoryPlan) -> None:
        """A tag may be of several images, of which who names it knows one."""
        meant = sorted({entry.descriptor.digest for entry in plan.removals if entry.is_demanded})
        if self.tag is not None and len(meant) > 1:
            ways = " or ".join(f"{self.repository}@{digest}" for digest in meant)
            raise RefusedError(f"{self.repository}:{self.tag} names more than one thing: name {ways}")


def _splits(text: str) -> Iterator[tuple[str, str]]:
    """Before and after each colon, the last one first."""
    parts = text.split(":")
    return ((":".join(parts[:end]), ":".join(parts[end:])) for end in range(len(parts) - 1, 0, -1))


def _digest(text: str, digest: str) -> Digest:
    try:
        return Digest(digest)
    except InvalidDigestError as error:
        raise ConfigurationError(f"{text!r}: {error}") from error


def plan_meant(named: Sequence[Named], plans: Iterable[RepositoryPlan]) -> RepositoryPlan:
    """Of the plans for all that may be meant, the one for what is there.

    Raises:
        ConfigurationError: nothing of that is there.
        RefusedError: more than one is, or it has to stay.
    """
    by_path = {plan.path: plan for plan in plans}
    there = [each for each in named if each.repository in by_path]
    if not there:
        names = " or ".join(repr(each.repository) for each in named)
        raise ConfigurationError(f"the source has no repository {names}")
    found = [each for each in there if each.may_be_in(by_path[each.repository])]
    if len(found) > 1:
        ways = " or ".join(f"{each.tag!r} of {each.repository!r}" for each in found)
        raise RefusedError(f"{found[0].repository}:{found[0].tag} may be {ways}: name it as REPOSITORY@DIGEST")
    [meant, *_] = found or there
    meant.check_found(by_path[meant.repository])
    return by_path[meant.repository]


def plan_delete(
    given: DeleteParameters, named: Sequence[Named], plan_file: Path | None, stop: Stop, show: ShowPlan
) -> bool:
    """Plan to delete one thing, and show that; whether its repository could be read. `named` may mean one of several.

    Raises:
        ConfigurationError: it is not there, or an option is wrong.
        RefusedError: it has to stay, or it can't be told what is meant.
    """
    options = cleanup_options(given, given.to_gate(given.gate))
    choices = {n.repository: DeleteChoice(n.tag, n.digest, keeps_referrers=given.keep_referrers) for n in named}

    def plans(planner: Planner) -> Plans:
        yield plan_meant(named, planner.plans(choices.get))

    return _plan(options, plans, stop, kind=PlanKind.DELETE, plan_file=plan_file, show=show)


def plan_recover(given: RecoverParameters, plan_file: Path | None, stop: Stop, show: ShowPlan) -> bool:
    """Plan to name again what nothing names, and show that; whether everything could be read.

    Raises:
        ConfigurationError: an option is wrong, or the source is not there.
    """
    left_out: list[int] = []

    def recovered(planner: Planner, path: str) -> RepositoryPlan | None:
        found = plan_recovery(planner.tools, path, marked=given.marked)
        left_out.append(found.left_out)
        plan = found.plan
        return plan if plan.additions or plan.findings or plan.refused else None

    def plans(planner: Planner) -> Plans:
        yield from planner.each(lambda path: recovered(planner, path))
        if any(left_out):
            planner.findings.append(marked_left_out(sum(left_out)))

    options = cleanup_options(given)
    return _plan(options, plans, stop, kind=PlanKind.RECOVER, plan_file=plan_file, show=show)


def _plan(
    options: CleanupOptions,
    plans: Callable[[Planner], Plans],
    stop: Stop,
    *,
    kind: PlanKind,
    plan_file: Path | None,
    show: ShowPlan,
) -> bool:
    policy = Policy((), limits=NO_LIMITS)
    with open_planner(options, policy, stop, sweeps=False) as planner:
        header = make_header(options, kind, policy, planner.tools.rules.now)
        return show_and_keep(header, plans(planner), planner.findings, plan_file, show)


@contextmanager
def plan_place(output: str | None) -> Iterator[Path]:
    """The file for a plan that is applied at once: the user's, or one that goes at the end of the block.

    Raises:
        ConfigurationError: no folder for temporary files can be written.
    """
    if output is not None:
        yield Path(output)
        return
    try:
        temporary = tempfile.TemporaryDirectory(prefix="layoutlift-")
    except OSError as error:
        raise ConfigurationError(
            f"the plan can't be written: {error.strerror}; let --output say where, or TMPDIR"
        ) from error
    with temporary as folder:
        yield Path(folder) / "plan.jsonl"
