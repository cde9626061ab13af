"""What the local Prefect server's process serves: Prefect's own application, imported in less time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from flows.course.lasting_imports import lasting_imports
from flows.server.prefect_server import read_record
from flows.server.server_process import READY_WITHIN, STARTED_BY
from tasks.stores.local_parts.waiting import wait_for

if TYPE_CHECKING:
    from fastapi import FastAPI


def create_app() -> FastAPI:
    """As uvicorn's --factory wants it."""
    end_unless_known(Path(os.environ["PREFECT_HOME"]))
    with lasting_imports():
        from prefect.server.api.server import create_app as application  # noqa: PLC0415 - it is what takes time

        return application()


def end_unless_known(state: Path) -> None:
    """End a server that the command which started it did not live to write down.

    Nobody could find it again to stop it, and the next command starts another on the same database.

    Raises:
        SystemExit: that command is gone, and `state` has no record of this process.
    """
    started_by = os.environ[STARTED_BY]

    def is_known() -> bool:
        record = read_record(state)
        return record is not None and record.pid == os.getpid()

    wait_for(lambda: is_known() or str(os.getppid()) != started_by, READY_WITHIN)
    if not is_known():
        raise SystemExit("the command that started this server was ended before it had written that down")
