"""Runs a flow in the command's own process, against the Prefect server there is or a local one."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from contextlib import contextmanager, nullcontext
from json import JSONDecodeError
from traceback import walk_tb
from typing import TYPE_CHECKING

import click

from flows.course.lasting_imports import lasting_imports
from flows.course.watching import watched_by
from flows.server import prefect_server
from flows.server.wrong_settings import wrong_settings_told
from tasks.oci.errors import ConfigurationError, InterruptedRunError, LayoutliftError, StateError
from tasks.stores.hidden_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from pydantic import BaseModel

    from flows.server.prefect_server import ServerAddress
    from flows.terminal.console import Console

YIELD_SECONDS = 0.0003
"""How long the import keeps the interpreter when threads that copy want it; they want it for less than that.

At Python's 5 ms, large blobs crept along until Prefect was there: three of 700 MB took 9 % longer.
"""


def run_flow(
    name: str,
    parameters: BaseModel,
    console: Console,
    meanwhile: Callable[[ServerAddress], AbstractContextManager[object]] = nullcontext,
    before_start: Callable[[], None] = lambda: None,
) -> None:
    """Run the flow `flows.<name>.<name>` and print where it can be watched.

    `before_start` is called where a server has to be started: none is where it raises. `meanwhile` is entered once
    the server answers, before Prefect is imported, and left after the flow.

    Raises:
        LayoutliftError: whatever the flow, or `before_start`, ended with.
        ConfigurationError: the server that PREFECT_API_URL names does not answer, or the local one can't be started,
            or a parameter is nothing that a server can keep; nothing was done.
        InterruptedRunError: the run was told to stop before the flow had begun; what `meanwhile` began is ended.
    """
    _refuse_other_than_utf8(parameters)
    address = _ensured_server(console, before_start)
    click.echo(f"Dashboard: {address.shown}", err=True)
    try:
        with _told_to_prefect(address), watched_by(console), meanwhile(address):
            _carry_out(_load_unless_stopped(name, console), parameters, address)
    except LayoutliftError:
        raise
    except Exception as error:
        if not _is_of_prefect(error):
            raise
        _tell_truth(error, address.shown, console)


def _refuse_other_than_utf8(parameters: BaseModel) -> None:
    """Refuse what Prefect's client can't send: names of files may be any bytes, which come as lone surrogates.

    Raises:
        ConfigurationError: such a name is among the parameters.
    """
    for name, value in parameters:
        try:
            for text in value if isinstance(value, list) else [value]:
                str(text).encode()
        except UnicodeEncodeError:
            raise ConfigurationError(
                f"--{name.replace('_', '-')}: it is not in UTF-8, as all that Prefect keeps; use --standalone"
            ) from None


def _ensured_server(console: Console, before_start: Callable[[], None]) -> ServerAddress:
    with _standalone_offered():
        would_start = prefect_server.would_start()
    if would_start:
        before_start()
    with _standalone_offered():
        return prefect_server.ensure_server(console.stop.check)


@contextmanager
def _standalone_offered() -> Iterator[None]:
    """Say where there is no server that a run needs none; others that call for one do."""
    try:
        yield
    except (ConfigurationError, StateError) as error:
        raise ConfigurationError(f"{error}; --standalone does without a server") from error


@contextmanager
def _told_to_prefect(address: ServerAddress) -> Iterator[None]:
    """Have the environment say where the server is; afterwards no longer, unless the user did.

    A local server may end between two runs of one command, and the next run has to look for it anew.
    """
    is_of_user = bool(os.environ.get("PREFECT_API_URL"))
    os.environ.update(prefect_server.client_environment(address))
    try:
        yield
    finally:
        if not is_of_user:
            os.environ.pop("PREFECT_API_URL", None)


def _carry_out(flow: Callable[..., object], parameters: BaseModel, address: ServerAddress) -> None:
    from prefect.exceptions import TerminationSignal  # noqa: PLC0415 - with Prefect

    from flows.server.heartbeats import own_heartbeats  # noqa: PLC0415
    from flows.server.settings_of_run import changed_settings  # noqa: PLC0415

    try:
        with changed_settings("api", "url", address.api), own_heartbeats():  # it read the environment once
            flow(**parameters.model_dump())
    except TerminationSignal:  # around our part of the flow, where SIGTERM is Prefect's
        raise InterruptedRunError("the run was told to stop while Prefect began or ended it") from None


def _load_unless_stopped(name: str, console: Console) -> Callable[..., object]:
    """Import a flow, which takes seconds that somebody who presses Ctrl-C does not want to wait.

    Raises:
        InterruptedRunError: the run was told to stop meanwhile.
    """
    ends = _EndsImports(console)
    sys.meta_path.insert(0, ends)
    try:
        return _load(name)
    finally:
        sys.meta_path.remove(ends)
        console.check()  # what is imported may have made another error of it, or none


class _EndsImports:
    """Finds no module, and lets none be found once the run is told to stop.

    A handler of the signal can't: what it raises may come in the middle of anything, and is lost in a destructor.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:  # noqa: ARG002 - its form
        if threading.current_thread() is threading.main_thread():
            self._console.check()


def _load(name: str) -> Callable[..., object]:
    """Import a flow, and Prefect with it.

    Raises:
        ConfigurationError: Prefect does not take one of its settings.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(YIELD_SECONDS)
    try:
        with lasting_imports(), wrong_settings_told():
            flow: Callable[..., object] = getattr(importlib.import_module(f"flows.{name}"), name)
    finally:
        sys.setswitchinterval(interval)
    return flow


def _tell_truth(error: Exception, server: str, console: Console) -> None:
    """Say that the server was lost, and end as the run itself ended: its report is the truth, not the history.

    Raises:
        LayoutliftError: what the run ended with, or that it could not begin.
    """
    ours = next((each for each in _causes(error) if isinstance(each, LayoutliftError)), None)
    if console.run is None and not console.has_shown and ours is None:
        helps = "start it, correct PREFECT_API_URL or PREFECT_API_AUTH_STRING"
        if "CERTIFICATE_VERIFY_FAILED" in (reason := _reason(error)):
            helps = "have PREFECT_API_SSL_CERT_FILE name its authority, or see to its certificate"
        raise ConfigurationError(
            f"the Prefect server at {server} can't be used ({reason}): {helps}, or use --standalone"
        ) from None
    click.echo(
        f"layoutlift: the Prefect server at {server} was lost ({_reason(error)}): what it shows is not "
        "the end of this run, the report is",
        err=True,
    )
    if ours is not None:
        raise ours from None
    if console.run is not None:
        console.run.raise_if_incomplete()


def _is_of_prefect(error: Exception) -> bool:
    """Whether it is about the server, and not a defect of ours, which has to be seen whole."""
    from httpx import HTTPError  # noqa: PLC0415 - loaded with Prefect
    from prefect.exceptions import PrefectException  # noqa: PLC0415

    return any(isinstance(each, HTTPError | PrefectException) or _is_no_answer(each) for each in _causes(error))


def _is_no_answer(error: BaseException) -> bool:
    """Whether it is about an answer that is no JSON, such as the page of a proxy that wants a login."""
    modules = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    return isinstance(error, JSONDecodeError) and any(name.startswith("httpx.") for name in modules)


def _reason(error: Exception) -> str:
    """The first cause in one line; Prefect adds advice and addresses in further ones.

    httpx names the whole address, with the name and password that PREFECT_API_URL may hold.
    """
    if any(map(_is_no_answer, _causes(error))):
        return "what answers there is no Prefect server, or a proxy before it"
    *_, first = _causes(error)
    line = next(iter(str(first).splitlines()), "") or type(first).__name__
    return without_secrets(line)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
