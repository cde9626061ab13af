"""Ends a run that was told to stop: in order where that works, and in time in any case."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, NoReturn

import click

from flows.exit_codes import INTERRUPTED
from flows.terminal.kinds_of_terminals import draws_over_lines
from flows.terminal.last_line import tell
from tasks.oci.errors import InterruptedRunError, LayoutliftError
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

    from flows.terminal.console import Console

LAST_RESORT_SECONDS = 8.0
"""After so long, whatever still waits in the system (a name server, a dead disk) is left where it is."""
SAME_REQUEST_SECONDS = 0.5
"""Signals so close together are one: `timeout` sends its own to the command and then to the group that it is in."""
LAST_WORDS_SECONDS = 1.0
REPORTED_A_SECOND = 10_000
"""Tags that a busy machine writes into two reports, and reads once more, in a second."""

_request: ContextVar[Callable[[int, FrameType | None], None] | None] = ContextVar("layoutlift_stop", default=None)


@contextmanager
def stopped_by_signals(console: Console, patience: float = LAST_RESORT_SECONDS) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM end the run in order, within `patience` seconds; the same once more ends it at once.

    After one of them the other, as from a CI service that will wait no longer, has the run end without waiting for
    its work, but with its report. So does a terminal that is closed, unless that is to be ignored (`nohup`), as is
    Ctrl-C in a script's job with &.
    """
    ended, hurried = threading.Event(), threading.Event()
    asked: dict[int, float] = {}

    def request(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's form
        now, is_again, is_first = time.monotonic(), number in asked, not (asked or console.interrupted)
        asked.setdefault(number, now)
        if not is_first:
            is_same = number == signal.SIGHUP  # a shell hands on what the terminal's end has said already
            if not is_same and now - min(asked.values()) > SAME_REQUEST_SECONDS:
                _stop_waiting(hurried, is_again=is_again)
            return
        if number == signal.SIGHUP:
            leave_lost_output()
        console.interrupt()
        threading.Thread(
            target=_last_resort, args=(console, ended, hurried, patience), name="last resort", daemon=True
        ).start()
        with suppress(OSError):  # nobody may be left to read it; and a handler must not touch buffered files
            os.write(2, b"stopping; once more to stop at once\n")

    before = {number: signal.signal(number, request) for number in _ending()}
    token = _request.set(request)
    try:
        yield
    except BrokenPipeError:
        if not console.interrupted:
            raise
        raise SystemExit(INTERRUPTED) from None
    finally:
        ended.set()
        _request.reset(token)
        for number, handler in before.items():
            signal.signal(number, handler)
        hurried.set()  # there is nothing to wait for any more
        if console.interrupted:
            leave_lost_output()


def _ending() -> list[signal.Signals]:
    """The signals that end a run; whoever began it may have it ignore those of a terminal."""
    of_terminal = (signal.SIGINT, signal.SIGHUP)
    return [signal.SIGTERM, *(each for each in of_terminal if signal.getsignal(each) is not signal.SIG_IGN)]


def leave_lost_output() -> None:
    """Have output go nowhere that would go to a terminal that is gone, or to a program that has ended.

    Ctrl-C ends the `tee` of a pipeline before us; each write would be an error, and hide how the run ended.
    """
    outputs = select.poll()
    for descriptor in (1, 2):
        outputs.register(descriptor, 0)
    for descriptor, event in outputs.poll(0):
        if event & (select.POLLERR | select.POLLHUP):
            os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), descriptor)


@contextmanager
def stopped_as_before() -> Iterator[None]:
    """Have SIGTERM do in this block what `stopped_by_signals` says, where a flow of Prefect's has taken it over.

    Prefect raises an error wherever the main thread is, be it in the middle of a report.
    """
    request = _request.get()
    if request is None:  # as in a worker, whose signals are Prefect's
        yield
        return
    before = signal.signal(signal.SIGTERM, request)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def ending_waits(check: Callable[[], None]) -> Iterator[None]:
    """Call `check` after the handler of each signal that ends a run: what it raises ends a wait in the system, too.

    Python takes up a system call again that a signal has interrupted, unless the signal's handler raises.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone handles signals
        yield
        return
    before = {number: signal.getsignal(number) for number in _ending()}
    handled = {number: handler for number, handler in before.items() if callable(handler)}

    def handle(number: int, frame: FrameType | None) -> None:
        handled[signal.Signals(number)](number, frame)
        check()

    for number in handled:
        signal.signal(number, handle)
    try:
        check()
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)


def _stop_waiting(hurried: threading.Event, *, is_again: bool) -> None:
    """End for who has asked twice for the same; save what there is for who asks in another way."""
    if is_again:
        die()
    else:
        hurried.set()


def _last_resort(console: Console, ended: threading.Event, hurried: threading.Event, patience: float) -> None:
    """Write the report as it stands and end the process, unless the run ends by itself in time, or before the hurry.

    A report of very many tags takes longer than all else that a run still has to do, and is waited for.
    """
    hurried.wait(patience)
    run = None if ended.is_set() else console.latest_run
    more = 0.0 if run is None else run.totals.tags / REPORTED_A_SECOND
    if ended.wait(more if run is not None and run.is_ending else 0.0):
        return
    _do_at_once(console, (_tell_of_it, _write_ledger), LAST_WORDS_SECONDS)
    _do_at_once(console, (_write_report,), LAST_WORDS_SECONDS + more)
    die()


def _do_at_once(console: Console, acts: Iterable[Callable[[Console], None]], seconds: float) -> None:
    """Do these side by side, for so long: a disk, or whoever reads what is said, may be what hangs."""
    until = time.monotonic() + seconds
    under_way = [threading.Thread(target=act, args=(console,), daemon=True) for act in acts]
    for each in under_way:
        each.start()
    for each in under_way:
        each.join(max(0.0, until - time.monotonic()))


def _tell_of_it(_: Console) -> None:
    leave_lost_output()
    click.echo("layoutlift: something does not let go of the run; it is ended without waiting for it", err=True)


def _write_ledger(console: Console) -> None:
    """Keep what was brought, as nobody will close the ledger; of the tags in work it says that they are coming."""
    if console.latest_run is not None:
        with _told():
            console.latest_run.ledger.flush()


def _write_report(console: Console) -> None:
    run = console.latest_run
    if run is None:
        return
    run.log.note(Finding(".", InterruptedRunError.code, "the run was ended before all of its work had let go"))
    with _told():
        run.write_report()
    if run.report_places:
        click.echo(f"layoutlift: its report: {', '.join(run.report_places)}", err=True)


@contextmanager
def _told() -> Iterator[None]:
    """Say what goes wrong in this block, and go on after it."""
    try:
        yield
    except LayoutliftError as error:
        tell(error)


def die() -> NoReturn:
    """End the process without waiting for its threads."""
    _show_cursor()
    os._exit(INTERRUPTED)


def _show_cursor() -> None:
    """Bars on a terminal hide it, and are not there any more to show it again; nobody waits for that terminal."""
    if os.isatty(2) and draws_over_lines() and select.select([], [2], [], 0)[1]:
        with suppress(OSError):
            os.write(2, b"\x1b[?25h\n")
