"""Opens a run and begins its work in threads while Prefect is imported; the flow then goes on with that run.

Two things are begun: the run is opened (the early start, here), and its work is taken up (the head start, which is
`tasks/operations/running/head_start.py`). In the order of events:

1. Once the server answers, `flows/server/embedded.py` enters `begun_early`, unless `flows/commands/running.py` found
   that something comes first. It waits a moment for the run to be open.
2. In a thread, `EarlyStart` opens the run. If the server keeps no limits, `Run.head_start` has a `HeadStart` survey
   the source and make first attempts at the batches. What the engine logs is kept until Prefect's handlers are there.
3. The main thread imports Prefect, and with it the flow.
4. The flow's course (`driving.py`) asks its watcher, the console, for a run, and gets this one (`taken_over`). It
   goes on as with any other: `Run.survey` and `Run.execute` give what the head start has, or wait for it, and from
   the first `execute` on nothing more is begun ahead.
5. Where no flow comes, because of Ctrl-C or of Prefect, `end` stops the run in order and writes its report.
"""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from flows.course.live_limits import DEFAULT_VARIABLE
from flows.forms.block_names import names_block
from flows.server.prefect_server import has_no_variable
from flows.terminal.log_lines import FLOW_RUN
from tasks.oci.errors import InterruptedRunError, LayoutliftError
from tasks.operations.work.planning import OnConflict
from tasks.ports import Finding
from tasks.run_options import RunKind
from tasks.runs import Run, open_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flows.server.prefect_server import ServerAddress
    from flows.terminal.console import Console
    from tasks.run_options import RunOptions

KEPT_RECORDS = 10_000
OPENING_SECONDS = 0.3
"""What a run takes to open at a source and a target that are not far away: a tenth of a second."""
ANSWER_SECONDS = 3.0
"""What a local server may take for its first answer; Prefect's import takes as long."""


def may_begin_early(kind: RunKind, options: RunOptions) -> bool:
    """Whether the run may change the target as soon as it is open: no check, limits or metrics file come first."""
    looks_first = kind is RunKind.MIGRATE and options.policy.on_conflict is OnConflict.FAIL
    looks_first |= options.deletion is not None  # too much may have vanished for anything to be copied
    waits = names_block(options) or options.hours is not None or options.limits_from is not None
    return not (looks_first or waits or options.metrics)


class EarlyStart:
    """A run that is opened in a thread, at once, and begun there if `may_begin` says so; see the module."""

    def __init__(
        self, kind: RunKind, options: RunOptions, console: Console, may_begin: Callable[[], bool] = lambda: True
    ) -> None:
        self._console = console
        self._may_begin = may_begin
        self._stack = ExitStack()
        self._log = _KeptLog()
        self._taken = False
        opener = ThreadPoolExecutor(1, thread_name_prefix="early start")
        self._opening = opener.submit(self._open, kind, options)
        opener.shutdown(wait=False)

    def wait_until_open(self, seconds: float) -> None:
        """Return when the run has been opened, or could not be, but after `seconds` at the latest."""
        wait([self._opening], seconds)

    @property
    def opened(self) -> Run | None:
        """The run; None as long as it is not open, and where it could not be opened."""
        is_open = self._opening.done() and self._opening.exception() is None
        return self._opening.result() if is_open else None

    @contextmanager
    def taken_over(self) -> Iterator[Run]:
        """The run, to be closed at the end of the block; what it has logged so far belongs to the caller's flow.

        Raises:
            LayoutliftError: it could not be opened.
        """
        self._taken = True
        with self._stack:
            run = self._opening.result()
            self._log.hand_over()
            yield run

    def end(self) -> None:
        """End the run in order, with its report, if nobody has taken it over."""
        if self._taken:
            return
        self._console.stop.set()
        self._log.forget()
        with self._stack:
            try:
                run = self._opening.result()
            except LayoutliftError as error:
                logging.getLogger(__name__).warning("%s", error)
                return
            self._console.run = run
            run.log.note(Finding(".", InterruptedRunError.code, self._why()))
            run.wait_for_head_start()
            run.write_report()

    def _why(self) -> str:
        if self._console.interrupted:
            return "the run was told to stop before Prefect had begun it; run the same command again"
        return "Prefect could not begin the run: see to its server, or use --standalone"

    def _open(self, kind: RunKind, options: RunOptions) -> Run:
        run = self._stack.enter_context(open_run(kind, options, self._console.stop))
        if self._may_begin():
            self._stack.enter_context(run.head_start())
        return run


class _KeptLog(logging.Handler):
    """The last records of the engine from before Prefect's handlers were there to bring them to the run's page."""

    def __init__(self) -> None:
        super().__init__()
        self._records: deque[logging.LogRecord] = deque(maxlen=KEPT_RECORDS)
        self._logger = logging.getLogger("tasks")
        self._told = frozenset(self._logger.handlers)
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)

    def hand_over(self) -> None:
        """Pass on what was told; records that name a flow run went to the flow's own handlers when they were told."""
        self.forget()
        while self._records:
            record = self._records.popleft()
            for handler in self._logger.handlers:
                if handler not in self._told and not hasattr(record, FLOW_RUN):
                    handler.handle(record)

    def forget(self) -> None:
        self._logger.removeHandler(self)


@contextmanager
def begun_early(kind: RunKind, options: RunOptions, console: Console, server: ServerAddress) -> Iterator[None]:
    """Have the run begin now, for a flow of this block that the console watches.

    Where the server has limits for flows it is only opened: the flow has to read them first.
    """

    def may_begin() -> bool:
        return has_no_variable(DEFAULT_VARIABLE, server, ANSWER_SECONDS)

    console.early = early = EarlyStart(kind, options, console, may_begin)
    early.wait_until_open(OPENING_SECONDS)  # beside the import it would take twice as long
    try:
        yield
    finally:
        early.end()
