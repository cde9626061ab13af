"""The parts of a run that its options say most of: source, state, target, the job, and what the report says of it."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.endpoints import (
    blamed_on,
    open_source,
    open_state,
    open_target,
    own_name,
    parse_target,
    real_path,
    source_identity,
)
from tasks.ledger.ledger_memory import LedgerPart
from tasks.oci.errors import ConfigurationError, InterruptedRunError, LockHeldError
from tasks.operations.choosing.selection import Renames
from tasks.operations.copying.repository_preparation import Preparation
from tasks.operations.reports.counts import counted
from tasks.operations.reports.report_rows import result_of_row, tag_row
from tasks.operations.reports.run_log import LOST_LOCK
from tasks.operations.running.source_survey import RunJob
from tasks.ports import Finding
from tasks.run_options import RunKind
from tasks.stores.source_checks import refuse_within
from tasks.stores.state.lock_holder import LOST
from tasks.stores.state.lock_patience import held_within
from tasks.stores.state.run_spool import RunSpool, check_report_place
from tasks.stores.state.state_directory import made_state_root

if TYPE_CHECKING:
    from contextlib import AbstractContextManager, ExitStack

    from tasks.ledger.ledger import Ledger
    from tasks.operations.choosing.exact_list import ExactList
    from tasks.operations.reports.results import TagResult
    from tasks.operations.reports.run_log import RunLog
    from tasks.operations.running.traced_work import Tracer
    from tasks.ports import Shard, Source
    from tasks.run_controls import RunControls
    from tasks.run_options import RunOptions
    from tasks.stop import Stop
    from tasks.stores.registry.registry_store import RegistryStore
    from tasks.stores.state.run_state import RunState


def source_of(options: RunOptions, stop: Stop) -> Source:
    """The source; see `open_source`. A shard looks at the layouts that it is told of, and at no others."""
    layouts = options.shard.layouts if options.shard is not None else ()
    return open_source(options.source, stop, options.bucket_access, by_name=options.split_by_name, layouts=layouts)


class LostLock:
    """What becomes of a run whose lock another one has taken, as after this one slept for longer than a minute."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._is_lost = False
        self._log: RunLog | None = None
        self._lock = threading.Lock()

    def end(self) -> None:
        """Have the run end, and its report say why: nobody told it to."""
        with self._lock:
            self._is_lost = True
            self._tell()
        self._stop.set()

    def tell(self, log: RunLog) -> None:
        """Have this told to the run's log, which there is some time after the lock."""
        with self._lock:
            self._log = log
            self._tell()

    def blame(self, _: object, error: BaseException | None, __: object) -> None:
        """At the end of a run that came to no log: say what ended it, where that was this.

        Raises:
            LockHeldError: the run is over because its lock was lost, before it had begun.
        """
        if self._is_lost and self._log is None and isinstance(error, InterruptedRunError):
            raise LockHeldError(LOST) from error

    def _tell(self) -> None:
        if self._is_lost and self._log is not None:
            self._log.ended_by = LOST_LOCK
            self._log.note(Finding(".", LockHeldError.code, LOST))


def hold_lock(
    stack: ExitStack, kind: RunKind, state: RunState, options: RunOptions, *, run_id: str, stop: Stop
) -> LostLock:
    """Hold the lock until `stack` ends, if the run is a migration.

    What is returned wants the run's log, to say there that the lock was lost.
    """
    lost = LostLock(stop)
    if kind is RunKind.MIGRATE:
        with blamed_on("--state", options.state):
            lock = partial(state.lock, run_id, lost.end, options.shard)
            stack.enter_context(held_within(options.lock_timeout, lock, stop))
        stack.push(lost.blame)
    return lost


def about_run(kind: RunKind, options: RunOptions, run_id: str) -> dict[str, Any]:
    """What a report says of its run that is known at the beginning; a source as it was given, and where that leads.

    Raises:
        ConfigurationError: the source begins at the working folder, which is gone.
    """
    return {
        "id": run_id,
        "flow": str(kind),
        "version": version("layoutlift"),
        "host": socket.gethostname(),
        "source": options.source,
        "source_path": real_path(options.source),
        "target": options.target.target if options.target else None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def check_own_files(options: RunOptions) -> None:
    """See that what the user names for a run's own files is not in the source, and not one file for two.

    Raises:
        ConfigurationError: it is.
    """
    named = {"--state": options.state, "--report": options.report, "--metrics": options.metrics}
    for option, place in named.items():
        refuse_within(options.source, option, place)
    files = [os.path.realpath(place) for place in (options.report, options.metrics) if place]
    if len(files) != len(set(files)):
        raise ConfigurationError(f"--report and --metrics are one file, {options.report}: name two")


def state_of(kind: RunKind, options: RunOptions, stop: Stop) -> RunState:
    """The state of runs from this source to this target; without a target, of runs of this kind over the source.

    Raises:
        ConfigurationError: --state names what can't hold one.
    """
    place = options.target.target if options.target is not None else str(kind)
    if not options.state:
        made_state_root(os.environ)
    access = options.bucket_access
    identity = source_identity(options.source, access, name=options.source_name, by_name=options.split_by_name)
    return open_state(options.state, identity, place, access, stop)


def target_of(
    kind: RunKind, options: RunOptions, controls: RunControls, stop: Stop
) -> AbstractContextManager[RegistryStore | None]:
    """The target, which only a migration writes to, until the end of the block; see `open_target`."""
    if options.target is None:
        return nullcontext()
    return open_target(options.target, stop, write=kind is RunKind.MIGRATE, gate=controls.gate)


def open_records(
    stack: ExitStack, state: RunState, options: RunOptions, run_id: str, only: LedgerPart | None
) -> tuple[Ledger, RunSpool[TagResult]]:
    """What earlier runs did, and where the results of this one go; a report's place is looked at besides."""
    with blamed_on("--state", options.state):
        ledger = state.ledger(run_id, only)
    stack.callback(ledger.close)
    if options.report:
        with blamed_on("--report", options.report):
            check_report_place(Path(options.report))
    with blamed_on("--state", options.state):
        return ledger, stack.enter_context(RunSpool(state.run_folder(run_id), tag_row, result_of_row))


def tracer_of(kind: RunKind, options: RunOptions, run_id: str) -> AbstractContextManager[Tracer]:
    """The tracer, whose libraries are imported only where it is asked for."""
    from tasks.stores.tracing import run_traced  # noqa: PLC0415

    target = options.target.target if options.target is not None else ""
    return run_traced(
        kind, {"layoutlift.source": options.source, "layoutlift.target": target, "layoutlift.run_id": run_id}
    )


def preparation_of(target: RegistryStore | None, options: RunOptions) -> Preparation:
    """What sees to it that repositories are there before something is pushed to them."""
    if target is None or options.target is None:
        return Preparation()
    return Preparation(target.keeper, options.target.new_repositories)


def job_of(options: RunOptions) -> RunJob:
    """What of the source a run works on, and under which names.

    Raises:
        ConfigurationError: a pattern or list can't be used, names are to be no longer than the target's prefix, or a
            part of a run finds another list than the whole one.
    """
    selection = options.counted_choosing.selection()
    if options.shard is not None:
        _refuse_other_list(options.shard, options.choosing.tags_from, selection.listed)
    address = parse_target(options.target.target) if options.target is not None else None
    if address is not None and options.flatten is not None and options.flatten <= address.depth:
        raise ConfigurationError(
            f"--flatten {options.flatten}: TARGET has {counted(address.depth, 'component')} itself, and repositories "
            f"are below it; give {address.depth + 1} or more, or a TARGET of fewer components"
        )
    return RunJob(
        address=address,
        own_name=own_name(options.source),
        policy=options.policy,
        selection=selection,
        renames=Renames.parse(options.rename),
        flatten=options.flatten,
        only=options.shard.repositories if options.shard is not None else None,
    )


def _refuse_other_list(shard: Shard, name: str | None, listed: ExactList | None) -> None:
    """See that a part is about what the whole run expects of it: what is not listed here would be nobody's."""
    if shard.listed is not None and (listed is None or listed.mark_of(shard.repositories) != shard.listed):
        raise ConfigurationError(f"--tags-from {name}: it says something else than the one of the whole run")


def known_part(kind: RunKind, job: RunJob, target: RegistryStore | None) -> LedgerPart | None:
    """What a run has to know of earlier ones, who may have brought millions of tags; None for all of it.

    A shard asks for what is about its own repositories, and a verification for what is noted of layouts.
    """
    if kind is RunKind.VERIFY:
        return LedgerPart(None if job.only is None else frozenset(job.only), frozenset())
    if job.only is None:
        return None
    named = job if target is None else replace(job, profile=target.profile)
    return LedgerPart(frozenset(job.only), frozenset(named.names(job.only).repositories.values()))


def job_at_target(
    job: RunJob, kind: RunKind, target: RegistryStore | None, ledger: Ledger, preparation: Preparation
) -> RunJob:
    """The job with what is known of the target, and what earlier runs brought there, once both are open."""
    if job.only is None:
        job = replace(job, known_layouts=ledger.layouts, names_vanished=kind in {RunKind.PLAN, RunKind.MIGRATE})
    if kind in {RunKind.PLAN, RunKind.MIGRATE}:
        job = replace(job, preflight=preparation.refusal)
    return job if target is None else replace(job, profile=target.profile)
