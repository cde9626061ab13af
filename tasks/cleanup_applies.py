"""Joins stores and operations for whatever changes a source: takes the lease, applies plans, undoes runs. No Prefect.

This is the only module through which anything gets at a store that can write to a source.
"""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tasks.endpoints import let_in
from tasks.oci.errors import ConfigurationError, InterruptedRunError, RefusedError
from tasks.operations.choosing.ages import FUTURE_SECONDS
from tasks.operations.cleanup.applying.apply_tools import ApplyTools, no_gate
from tasks.operations.cleanup.applying.dropping import remake_halves
from tasks.operations.cleanup.applying.old_runs import forget_old_runs
from tasks.operations.cleanup.applying.repository_applying import apply_repository, needs_only_writer
from tasks.operations.cleanup.applying.undoing import undo_run, undoable
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.records.journal import Journal
from tasks.operations.cleanup.values import REPOSITORIES_AT_ONCE, QuarantineMode
from tasks.operations.work.concurrency import CallersPool, map_ahead
from tasks.patience import patience_with_source
from tasks.stores.bucket.s3_address import BucketAddress, is_bucket
from tasks.stores.directory import mounts
from tasks.stores.directory.file_errors import translated
from tasks.stores.directory.watched_writer import WatchedWritable
from tasks.stores.directory.writable_directory import WritableDirectory
from tasks.stores.source_checks import check_source, no_directory, refuse_directory_bucket
from tasks.stores.source_lease import SourceLease

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from tasks.file_ports import WritableSource
    from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
    from tasks.operations.cleanup.planning.gate import Gate
    from tasks.operations.cleanup.values import RepositoryPlan, Timing
    from tasks.stop import Stop
    from tasks.stores.bucket.s3_address import BucketAccess

_Item = TypeVar("_Item")
ONLY_WRITER = (
    "this source can't be written under a condition (a mount or directory, or a store that ignores If-Match), so an "
    "index that somebody else writes at the same moment could be lost; stop all writers and say "
    "--i-am-the-only-writer, or clean the bucket up natively, as s3://…"
)


@dataclass(frozen=True, slots=True)
class CleanerOptions:
    """What to change and how; `only_writer` is the user's word that nobody else writes meanwhile.

    `forgets` says that `timing` is a policy's, by which the journals of old runs go as well. `undoes` names a run
    without whose journal there is nothing to do, and so nothing is written, not even the lease.
    """

    source: str
    access: BucketAccess
    timing: Timing
    run: str
    only_writer: bool = False
    jobs: int = 16
    forgets: bool = True
    undoes: str | None = None


@dataclass(frozen=True, slots=True)
class Cleaner:
    """A source with its lease taken, ready to be changed."""

    tools: ApplyTools
    stop: Stop
    only_writer: bool
    forgets: bool

    def check_allowed(self, plans: Iterable[RepositoryPlan]) -> None:
        """Pass where all of these may be applied while others write; nothing is changed.

        Raises:
            RefusedError: one needs a source without other writers, and nobody vouched for that.
        """
        if self.only_writer:
            return
        is_conditional, timing = self.tools.source.files.is_conditional, self.tools.timing
        if is_conditional and timing.mode is not QuarantineMode.NONE:
            return  # no plan needs it, so none is read
        for plan in plans:
            if needs_only_writer(plan, timing, is_conditional=is_conditional):
                raise RefusedError(f"{plan.path}: {ONLY_WRITER}")

    def check_clock(self, planned: float) -> None:
        """Pass where the clock that a plan was made by is not ahead of the one that dates the source's files.

        Raises:
            RefusedError: it is, so that everything looked older than it was; nothing is changed.
            SourceError: the source can't say what time it is.
        """
        ahead = planned - self.tools.source.files.now()
        if ahead > FUTURE_SECONDS:
            raise RefusedError(
                f"the plan was made {ahead:.0f} s in the future of the source, by whose clock its files are dated: "
                "everything looked older than it is; set the clock, and make a new plan"
            )

    def apply(self, plans: Iterable[RepositoryPlan]) -> Generator[RepositoryOutcome, None, None]:
        """Apply plans, in order, several repositories at once; closed, it waits for those that were begun.

        Then layouts that a run dropped and a writer came back to are made whole, and runs of which nothing is left
        to undo are forgotten.

        Raises:
            LockHeldError: another run took the lease over; what is not done by then is left.
            InterruptedRunError: the run was told to end; what was begun is done to its end.
        """
        done = map_ahead(self._apply_unless_stopped, self._until_stopped(plans), REPOSITORIES_AT_ONCE, name="apply")
        with closing(done):
            yield from (outcome for outcome in done if outcome is not None)
        self._check_stop()
        files, is_alone = self.tools.source.files, self.only_writer
        yield from remake_halves(files, is_alone=is_alone, check_stop=self._check_stop)
        self._check_stop()
        if self.forgets:
            forget_old_runs(self.tools)

    def _apply_unless_stopped(self, plan: RepositoryPlan) -> RepositoryOutcome | None:
        """What came of a repository; None for one that was handed out, and not begun, when the run was to end."""
        return None if self.stop.requested else apply_repository(self.tools, plan)

    def undo(self, run: str) -> Iterator[RepositoryOutcome]:
        """Put back what a run took away; whether that may be is told before anything is done.

        Raises:
            ConfigurationError: no such run left a journal here.
            RefusedError: others may write at the same time, and the source knows no conditions.
            LockHeldError: another run took the lease over.
            InterruptedRunError: the run was told to end; what was begun is done to its end.
        """
        if not self.only_writer and not self.tools.source.files.is_conditional:
            raise RefusedError(ONLY_WRITER)
        return self._ended_between(undo_run(self.tools, run))

    def _ended_between(self, outcomes: Iterable[RepositoryOutcome]) -> Iterator[RepositoryOutcome]:
        yield from self._until_stopped(outcomes)
        self._check_stop()

    def _until_stopped(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """The next one, which may be made only when it is asked for, while the run is not to end."""
        waiting = iter(items)
        while not self.stop.requested and (item := next(waiting, None)) is not None:
            yield item

    def _check_stop(self) -> None:
        """Leave here if the run is to end, what came of all that was begun having been told."""
        if self.stop.requested:
            raise InterruptedRunError("the run was interrupted; what it had begun is done, see the journal")


@contextmanager
def open_cleaner(options: CleanerOptions, stop: Stop, gate: Gate | None = None) -> Iterator[Cleaner]:
    """Open a source for changes and take its lease; the gate, if any, is asked before anything of a repository goes.

    Raises:
        ConfigurationError: it can't be changed, its store does not let us in, it has no versions to serve as
            quarantine, or no journal of the run to undo.
        LockHeldError: another run cleans it up.
        SourceError: it can't be read or written.
    """
    with ExitStack() as stack:
        with let_in(options.source):
            tools = _opened(options, stop, gate, stack)
        yield Cleaner(tools, stop, options.only_writer, options.forgets)


def _opened(options: CleanerOptions, stop: Stop, gate: Gate | None, stack: ExitStack) -> ApplyTools:
    """Open a source for changes and take its lease, both for as long as `stack` says."""
    access = replace(options.access, connections=options.jobs + REPOSITORIES_AT_ONCE)
    source = stack.enter_context(open_writable(options.source, access))
    if options.timing.mode is QuarantineMode.VERSIONS and not source.files.keeps_versions:
        raise ConfigurationError("quarantine 'versions' needs a bucket that keeps versions; choose 'prefix'")
    if options.undoes is not None:
        undoable(source.files, options.undoes)
    lease = stack.enter_context(SourceLease(source.files, options.run, options.source, stop))
    readers = stack.enter_context(CallersPool(options.jobs, thread_name_prefix="read"))
    return ApplyTools(
        source=source,
        holdings=Holdings(source.files),
        journal=Journal(source.files, options.run),
        timing=options.timing,
        map_concurrently=readers.map,
        guard=lease.check,
        require=no_gate if gate is None else lambda plan: gate.require_plan(source.open_layouts(), plan),
    )


def refuse_other_store(source: str, access: BucketAccess, advise: Callable[[str], str]) -> None:
    """Refuse a bucket for which no store is noted, where it would be asked for at another store than Amazon's.

    There it is another bucket, unless a version made the note that noted no endpoint of a profile: `advise` says
    what helps then, of the store that the bucket would be asked for at.

    Raises:
        ConfigurationError: the environment or the profile leads to such a store.
    """
    if not is_bucket(source) or access.endpoint_url is not None:
        return
    from tasks.stores.bucket.s3_client import other_store  # noqa: PLC0415 - directories don't wait for the SDK

    if (other := other_store(access)) is not None:
        raise ConfigurationError(
            f"no store is noted for {source}, which means Amazon's, and AWS_ENDPOINT_URL or the profile leads to "
            f"{other}; nothing was changed. An earlier version did not note a store that a profile named: if it was "
            f"this one, {advise(other)}"
        )


@contextmanager
def open_writable(source: str, access: BucketAccess) -> Iterator[WritableSource]:
    """A source, to be changed; a run that is told to end does so between changes, with what it has begun.

    Raises:
        ConfigurationError: it names no kind of source that can be changed, or the names in it can't be told, or
            it is an empty folder.
        SourceUnavailableError: its mount does not answer.
    """
    check_source(source)
    refuse_directory_bucket(source, "the source", "be cleaned up")
    if is_bucket(source):
        yield _writable_bucket(BucketAddress.parse(source), access)
        return
    path, may_hang = mounts.resolve(source)
    if not may_hang:
        with translated(source):
            _refuse_empty(source, is_empty=not any(Path(path).iterdir()))
        yield WritableDirectory(path)
        return
    with closing(WatchedWritable(path, patience_with_source())) as writable:
        layouts = writable.open_layouts()
        if reason := layouts.look():
            raise no_directory(source, reason)
        _refuse_empty(source, is_empty=layouts.is_empty())
        yield writable


def _refuse_empty(source: str, *, is_empty: bool) -> None:
    """Write nothing where nothing is mounted: most mounts can't be put over a folder with something in it."""
    if is_empty:
        raise ConfigurationError(f"the source {source} is empty, nothing was changed; is the bucket mounted there?")


def _writable_bucket(address: BucketAddress, access: BucketAccess) -> WritableSource:
    from tasks.stores.bucket import s3_client  # noqa: PLC0415 - directories don't wait for the SDK
    from tasks.stores.bucket.s3_writing import WritableS3Bucket  # noqa: PLC0415
    from tasks.stores.bucket.writable_bucket import WritableBucket  # noqa: PLC0415

    access = access.signed
    client, copying = s3_client.make_clients(access, s3_client.READ_SECONDS, s3_client.COPY_SECONDS)
    bucket = WritableS3Bucket(client, address.bucket, access, copying=copying, below=address.prefix)
    return WritableBucket(bucket, address)
