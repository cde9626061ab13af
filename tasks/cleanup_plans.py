"""Joins stores and operations for cleanups: opens a source to plan over, keeps plans in files. No Prefect."""

from __future__ import annotations

import secrets
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from tasks.endpoints import (
    TargetOptions,
    close_source,
    endpoint_of,
    let_in,
    open_target,
    open_whole,
    own_name,
    parse_target,
    source_identity,
)
from tasks.oci.errors import ConfigurationError, InterruptedRunError
from tasks.operations.cleanup.deciding.blob_decisions import BlobRules
from tasks.operations.cleanup.deciding.choices import PolicyChoice
from tasks.operations.cleanup.planning.gate import Gate
from tasks.operations.cleanup.planning.gone_layouts import plan_gone
from tasks.operations.cleanup.planning.plan_lines import PlanReader, PlanWriter, check_plan
from tasks.operations.cleanup.planning.plan_tools import PlanTools
from tasks.operations.cleanup.planning.repository_planning import plan_repository
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.values import REPOSITORIES_AT_ONCE, PlanHeader, PlanKind, RepositoryPlan
from tasks.operations.in_step.since_last import vanished_layouts
from tasks.operations.reports.findings import NO_LAYOUTS, NOTHING_CHOSEN
from tasks.operations.work.concurrency import CallersPool, map_ahead
from tasks.ports import Finding
from tasks.stores.bucket.s3_address import BucketAccess, BucketLogin, is_bucket
from tasks.stores.source_checks import refuse_directory_bucket
from tasks.stores.whole_files import whole_or_not_at_all

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.deciding.choices import Choice
    from tasks.operations.cleanup.deciding.policy import Policy
    from tasks.operations.cleanup.planning.limits import LimitCheck
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import Source
    from tasks.stop import Stop
    from tasks.stores.registry.credentials import Credentials

NOTHING_FITS = replace(NOTHING_CHOSEN, message="no policy is about any repository of the source")


@dataclass(frozen=True, slots=True)
class Logins:
    """Credentials that are handed over by value; what is empty is looked for where it is found otherwise."""

    bucket: BucketLogin = field(default_factory=BucketLogin)
    target: Credentials | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CleanupOptions:
    """What to plan over and how; `gate` is the target that must hold what goes."""

    source: str
    access: BucketAccess = field(default_factory=BucketAccess)
    jobs: int = 16
    gate: TargetOptions | None = None


@dataclass(frozen=True, slots=True)
class Planner:
    """A source opened for planning; what is no repository is put into `findings` as it is met."""

    source: Source
    tools: PlanTools
    stop: Stop
    findings: list[Finding] = field(default_factory=list)

    def plans(self, choose: Callable[[str], Choice | None]) -> Iterator[RepositoryPlan]:
        """The plans of all layouts for which there is a choice; see `each`.

        After them come layouts that are gone, and of which the quarantine still holds something; not those that only
        may be gone, as something that leads to them can't be read.
        """
        unmet, fits = set(self.tools.holdings.repositories), False

        def plan(path: str) -> RepositoryPlan | None:
            nonlocal fits
            unmet.discard(path)
            choice = choose(path)
            fits = fits or choice is not None
            return None if choice is None else plan_repository(self.tools, path, choice)

        yield from self.each(plan)
        chosen = {path for path in unmet if choose(path) is not None}
        vanished = [each.path for each in vanished_layouts(chosen, (), self.findings)]
        gone = map_ahead(partial(plan_gone, self.tools), vanished, REPOSITORIES_AT_ONCE, name="gone")
        yield from (each for each in gone if each is not None)
        if not (fits or chosen) and NO_LAYOUTS not in self.findings:
            self.findings.append(NOTHING_FITS)

    def each(self, plan: Callable[[str], RepositoryPlan | None]) -> Iterator[RepositoryPlan]:
        """What `plan` makes of each layout, but None, in order, few of them ahead of whoever asks.

        Raises:
            SourceUnavailableError: the source can't be listed.
            InterruptedRunError: the run was told to end.
        """
        for found in map_ahead(plan, self._paths(), REPOSITORIES_AT_ONCE, name="plan"):
            if found is not None:
                yield found

    def _paths(self) -> Iterator[str]:
        is_empty = not self.tools.holdings.repositories
        for found in self.source.list_layouts():
            if self.stop.requested:
                raise InterruptedRunError("the run was interrupted while it planned; nothing was changed")
            if isinstance(found, Finding):
                self.findings.append(found)
            else:
                is_empty = False
                yield found
        if is_empty:
            self.findings.append(NO_LAYOUTS)


@contextmanager
def open_planner(options: CleanupOptions, policy: Policy, stop: Stop, *, sweeps: bool = True) -> Iterator[Planner]:
    """Open the source, and the target that is asked where there is one; `sweeps` is as in `BlobRules`.

    Raises:
        ConfigurationError: one of them can't be used.
        AuthenticationError, TransportError: the target does not let us in.
    """
    refuse_directory_bucket(options.source, "the source", "be cleaned up")
    access = replace(options.access, connections=options.jobs + REPOSITORIES_AT_ONCE)
    with ExitStack() as stack:
        source = open_whole(options.source, stop, access)
        stack.callback(close_source, source)
        files = source.open_files()
        readers = stack.enter_context(CallersPool(options.jobs, thread_name_prefix="read"))
        gate = stack.enter_context(open_gate(options.gate, options.source, stop, readers.map))
        with let_in(options.source):
            holdings = Holdings(files)
        rules = BlobRules(files.now(), policy.timing, policy.ingest_after, policy.multipart_after, sweeps)
        tools = PlanTools(
            source, files, holdings, rules, readers.map, policy.protected_digests, gate, source.old_indexes
        )
        yield Planner(source, tools, stop)


@contextmanager
def open_gate(
    target: TargetOptions | None, source: str, stop: Stop, map_concurrently: MapConcurrently
) -> Iterator[Gate | None]:
    """The target that must hold what goes from a source, if there is one.

    Raises:
        ConfigurationError: `target` is no address.
        AuthenticationError, TransportError: the target does not let us in.
    """
    if target is None:
        yield None
        return
    with open_target(target, stop, write=False) as store:
        yield Gate(store, parse_target(target.target), own_name(source), map_concurrently)


def policy_choices(policy: Policy, now: float) -> Callable[[str], Choice | None]:
    """What the policy wants of each repository, by its path."""

    def choose(path: str) -> Choice | None:
        found = policy.of(path)
        return None if found is None else PolicyChoice(found, policy.protected_digests, now)

    return choose


def new_plan_id() -> str:
    """A name for a plan that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def make_header(
    options: CleanupOptions, kind: PlanKind, policy: Policy, now: float, *, digest: Digest | None = None
) -> PlanHeader:
    """The header of a plan by a policy, whose file may have a digest.

    Raises:
        ConfigurationError: the settings for S3 can't be used.
    """
    return PlanHeader(
        plan=new_plan_id(),
        kind=kind,
        source=whole_name(options.source, options.access),
        created=now,
        limits=policy.limits,
        timing=policy.timing,
        policy=digest,
        gate=None if options.gate is None else options.gate.target,
        endpoint_url=endpoint_of(options.source, options.access),
        request_payer=options.access.request_payer,
    )


def whole_name(source: str, access: BucketAccess) -> str:
    """A source as it is found from any folder: of a directory the whole path."""
    return source if is_bucket(source) else source_identity(source, access)


def write_plan(
    path: Path | None, header: PlanHeader, plans: Iterable[RepositoryPlan], check: LimitCheck
) -> Generator[RepositoryPlan, None, None]:
    """Hand the plans through while they are written to a file, which is there when all are, and whole or not at all.

    `check` has seen each of them when it comes.

    Raises:
        ConfigurationError: the file can't be written.
    """
    if path is None:
        yield from plans
        return
    writer = PlanWriter()
    try:
        if path.is_dir():  # told before the work, not after it
            raise ConfigurationError(f"the plan can't be written to {path}: it is a folder")
        with whole_or_not_at_all(path) as file:
            file.write(writer.header(header))
            for plan in plans:
                file.write(writer.repository(plan))
                yield plan
            file.write(writer.footer(check.footer()))
    except OSError as error:
        raise ConfigurationError(f"the plan can't be written to {path}: {error.strerror}") from error


def _check_plan(file: BinaryIO, path: Path) -> None:
    try:
        check_plan(file)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


@contextmanager
def open_plan(path: Path) -> Iterator[PlanReader]:
    """A plan's file, after it was read once to its end: nothing is done on the word of one that was touched.

    Raises:
        ConfigurationError: it can't be read, or is no plan, or was edited or cut short.
    """
    try:
        if path.is_fifo():
            raise ConfigurationError(
                f"the plan {path} is a pipe, and what is applied is read several times: use a file"
            )
        with path.open("rb") as file:
            _check_plan(file, path)
        with path.open("rb") as file:
            yield PlanReader(file)
    except OSError as error:
        raise ConfigurationError(f"the plan {path} can't be read: {error.strerror}") from error
