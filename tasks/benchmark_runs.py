"""A benchmark from claim to report: what is measured, kept, compared and cleaned up. No Prefect."""

from __future__ import annotations

import logging
import os
import secrets
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.benchmark_about import (
    about_run,
    no_mounts,
    not_cold,
    other_than_mounts,
    refuse_changed_mounts,
    shown_path,
    traffic_lines,
)
from tasks.benchmark_parts import result_folder_of, usable_paths, venue_of
from tasks.benchmark_results import compare_and_keep, write_results
from tasks.benchmark_values.cases import MIB
from tasks.benchmark_values.facts import About, Failure, Measurement, Phase, Results
from tasks.benchmark_values.paths import Origin, Visit
from tasks.oci.errors import (
    IncompleteError,
    InterruptedRunError,
    LayoutliftError,
    RegressionError,
    StateError,
)
from tasks.operations.benchmark.data_files import ended_row, rows_of, warning_row
from tasks.operations.benchmark.resuming import kept_of
from tasks.operations.benchmark.visits import least_space, plan_pushes, plan_visits
from tasks.operations.reports.counts import counted
from tasks.stores.benchmark import page_cache
from tasks.stores.benchmark.bench import Bench
from tasks.stores.benchmark.free_space import refuse_without_space
from tasks.stores.benchmark.registry_area import refuse_unreachable
from tasks.stores.benchmark.remains import WorkFolder, sweep, work_root
from tasks.stores.benchmark.result_folder import History
from tasks.stores.bucket.s3_errors import let_in
from tasks.stores.state.state_directory import made_state_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.benchmark_values.cases import Case
    from tasks.benchmark_values.facts import Cost
    from tasks.benchmark_values.options import BenchmarkOptions
    from tasks.benchmark_values.paths import PathSpec
    from tasks.operations.benchmark.history import Regression
    from tasks.stop import Stop
    from tasks.stores.benchmark.result_folder import ResultFolder

logger = logging.getLogger(__name__)
ENDS_RUN = (InterruptedRunError, StateError)
"""What is no failure of one path: where the run's own folders can't be used, none can be measured."""


@dataclass
class BenchmarkRun:
    """One benchmark that is under way; its `regressions` and `report` are there once it has come to its end."""

    options: BenchmarkOptions
    about: About
    paths: tuple[PathSpec, ...]
    bench: Bench
    stop: Stop
    folder: ResultFolder
    history: History
    measurements: list[Measurement] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    regressions: tuple[Regression, ...] = ()
    warnings: list[str] = field(default_factory=list)
    ended: dict[str, None] = field(default_factory=dict)
    """The cases that are measured, in the order of measuring; those that a run before this one measured, too."""
    report: str = ""
    _counts: dict[tuple[str, Phase], Cost] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin the results, with what an interrupted run left where this one is to go on with it.

        Raises:
            ConfigurationError: that run measured something else, or the results can't be written.
            SourceUnavailableError: a mount of the user's went since that run, or came.
            StateError: what it left can't be read.
        """
        kept = kept_of(self.folder.rows() if self.options.resume else (), self.about)
        if self.options.resume and kept.about is None:
            logger.warning("--resume: there is nothing to go on with in %s: all is measured", self.folder.path)
        self.measurements += kept.measurements
        self.failures += kept.failures
        self.warnings += kept.warnings if kept.ended else other_than_mounts(self.paths, kept.warnings)
        self.ended.update(dict.fromkeys(kept.ended))
        if kept.about is not None and not self.cases_left:
            self.about = kept.about
            logger.info("everything is measured already, by the run %s of %s", kept.about.run, kept.about.started)
            self.folder.begin(rows_of(self.results))
            return
        if kept.ended:
            refuse_changed_mounts(self.paths, self.warnings)
        self.folder.begin(rows_of(self.results))
        cold = not_cold(self.paths, self.options, self.about, drops=self.bench.drop_caches)
        told = (*no_mounts(self.paths), *cold)
        self._warn([line for line in told if line not in self.warnings])
        for line in traffic_lines(self.options, self.cases_left, self.paths):
            logger.info("%s", line)

    @property
    def cases_left(self) -> list[Case]:
        """What is still to be measured."""
        return [case for case in self.options.cases if case.label not in self.ended]

    @property
    def results(self) -> Results:
        """What there is so far."""
        return Results(
            name=self.about.run,
            measurements=tuple(self.measurements),
            failures=tuple(self.failures),
            about=self.about,
            warnings=tuple(self.warnings),
            ended=tuple(self.ended),
        )

    def measure(self, case: Case) -> None:
        """Push a case to all paths, pull it through each, over and over in another order, and delete it.

        What fails has no figure and is named among the failures; the others go on.

        Raises:
            InterruptedRunError: the run was told to stop.
            SourceUnavailableError: a mount of the user's own went since the run began, or came.
            StateError: the run's own folders can't be used; the disk may be full.
        """
        refuse_changed_mounts(self.paths, self.warnings)
        self.bench.begin(case, self.options.content)
        try:
            pushed = [path for path in plan_pushes(case, self.paths, self.about.run) if self._push(path, case)]
            self._count(pushed, case)
            for number, visit in enumerate(plan_visits(case, pushed, self.options.repeats, self.about.run)):
                if number:
                    self.stop.wait(self.options.pause)
                self._visit(visit)
        finally:
            self._warn(self.bench.leave_registry(case))
        refuse_changed_mounts(self.paths, self.warnings)
        self.ended[case.label] = None
        self.folder.keep(ended_row(case.label))
        self.bench.end(self.paths)

    def finish(self) -> None:
        """Write and compare the results.

        Raises:
            IncompleteError: a pull or push failed, or brought something else.
            RegressionError: something is slower than before by more than is allowed.
            StateError: the results can't be written.
        """
        comparison = compare_and_keep(self.results, self.about, self.history, self.options.allowed_loss)
        self.regressions = comparison.regressions
        self.report = write_results(self.results, self.paths, comparison, self.folder)
        if self.failures:
            failed, first = counted(len(self.failures), "measurement"), self.failures[0]
            raise IncompleteError(
                f"{failed} failed, the first: {first.path} {first.case} {first.phase}: {first.message} ({first.code})"
            )
        if self.regressions:
            raise RegressionError("slower than before: " + "; ".join(map(str, self.regressions)))

    def _push(self, path: PathSpec, case: Case) -> bool:
        visit = Visit(path, case, 1)
        try:
            cost = self.bench.push(path, case)
        except ENDS_RUN:
            raise
        except LayoutliftError as error:
            self._fail(visit, Phase.PUSH, error)
            return False
        if cost is not None:
            self._keep(visit, Phase.PUSH, cost)
        return True

    def _count(self, paths: Sequence[PathSpec], case: Case) -> None:
        """Count the requests of a case where the service does not: by pulls of which nothing else is kept."""
        self._counts.clear()
        for path in paths:
            if self.options.uncounted or not self.bench.venue.needs_counting(path):
                continue
            try:
                found = self.bench.count(path, case)
            except ENDS_RUN:
                raise
            except LayoutliftError as error:
                self._warn([f"the requests of {path.name} {case.label} were not counted: {error}"])
            else:
                self._counts |= {(path.name, phase): cost for phase, cost in found.items()}

    def _warn(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.warnings.append(" ".join(line.split()))
            self.folder.keep(warning_row(self.warnings[-1]))
            logger.warning("%s", self.warnings[-1])

    def _visit(self, visit: Visit) -> None:
        phase = Phase.COLD
        try:
            for phase, cost in self.bench.visit(visit):
                self._keep(visit, phase, cost)
                phase = Phase.WARM  # noqa: PLW2901 - the one that comes next, should it fail
        except ENDS_RUN:
            raise
        except LayoutliftError as error:
            self._fail(visit, phase, error)

    def _keep(self, visit: Visit, phase: Phase, cost: Cost) -> None:
        case = visit.case
        if by_proxy := self._counts.get((visit.path.name, phase)):
            cost = replace(cost, s3_requests=by_proxy.s3_requests, s3_sent=by_proxy.s3_sent)
        made = Measurement(
            path=visit.path.name,
            case=case.label,
            size=case.size,
            count=case.count,
            phase=phase,
            repeat=visit.repeat,
            cost=cost,
        )
        self.measurements.append(made)
        self.folder.keep(made.to_json())
        logger.info(
            "%s %s %s %d/%d: %.3f s, %.1f MiB/s",
            *(case.label, made.path, phase, visit.repeat, self.options.repeats if phase != Phase.PUSH else 1),
            *(cost.wall, made.rate / MIB),
        )

    def _fail(self, visit: Visit, phase: Phase, error: LayoutliftError) -> None:
        message = " ".join(str(error).split())
        made = Failure(
            path=visit.path.name,
            case=visit.case.label,
            phase=phase,
            repeat=visit.repeat,
            code=error.code,
            message=message,
        )
        self.failures.append(made)
        self.folder.keep(made.to_json())
        logger.warning("%s %s %s: %s (%s)", visit.case.label, visit.path.name, phase, message, error.code)


@contextmanager
def open_benchmark(options: BenchmarkOptions, stop: Stop) -> Iterator[BenchmarkRun]:
    """Clean up after dead runs, claim what is written to, start what is needed; and take all away at the end.

    Raises:
        ConfigurationError: the bucket or its settings can't be used, a path that was asked for is not here, or
            nobody answers at the user's registry.
        RefusedError: the bucket's path holds something else, another run is there, or the disk has too little room.
        StateError: the folder for the work or the results can't be used.
    """
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    state = Path(options.state).absolute() if options.state else made_state_root(os.environ)
    root = work_root(state)
    for name in sweep(root):
        logger.info("removed what the benchmark %s left when it died", name)
    folder = result_folder_of(options, run_id)
    with ExitStack() as stack:
        work = stack.enter_context(WorkFolder(root, run_id))
        with let_in():
            venue = venue_of(options, run_id, work, stack)
            paths, used = usable_paths(options, venue)
            refuse_without_space(root, least_space(options.cases, paths, local=options.location is None))
            venue.claim(paths, stack)
        drops = page_cache.may_drop() and not options.keep_page_cache
        bench = Bench(venue, work, stop, options.pause, drops)
        if venue.has_others_registry and any(path.origin is Origin.REGISTRY for path in paths):
            refuse_unreachable(str(venue.registry), bench.run_oras)
        shown = [shown_path(each, bench, paths) for each in used]
        run = BenchmarkRun(
            options=options,
            about=about_run(options, venue, run_id, shown, drops=drops),
            paths=paths,
            bench=bench,
            stop=stop,
            folder=folder,
            history=History(state / "benchmark" / "history.jsonl"),
        )
        run.begin()
        yield run
