"""Where the command `layoutlift` begins: the rest takes half a second to import, and Ctrl-C works meanwhile."""

from __future__ import annotations

import gc
import os
import signal
from typing import NoReturn

from flows.course.lasting_imports import lasting_imports
from flows.exit_codes import INTERRUPTED


def main() -> None:
    """Import the command and run it; Ctrl-C during the import ends the process without a word."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # a shell's background job has it ignored
        signal.signal(signal.SIGINT, _leave)
    with lasting_imports():
        from flows.cli import main as command  # noqa: PLC0415 - only when Ctrl-C is seen to

    signal.signal(signal.SIGINT, before)
    try:
        command()
    finally:
        gc.freeze()  # else Python searches all that is left for garbage before it ends


def _leave(*_: object) -> NoReturn:
    """End at once: an exception could be swallowed by what is being imported, or shown by it."""
    os._exit(INTERRUPTED)
