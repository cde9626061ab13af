"""Forgets runs that nothing can be undone of any more, so that journals don't grow for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.operations.cleanup.apply_tools import TRASH
from tasks.operations.cleanup.holdings import Holdings
from tasks.operations.cleanup.journal import RUNS

if TYPE_CHECKING:
    from tasks.operations.cleanup.apply_tools import ApplyTools


def forget_old_runs(tools: ApplyTools) -> tuple[str, ...]:
    """Delete the journals of runs that are older than the quarantine's time and have nothing in it; their names.

    Raises:
        SourceError: something can't be listed, read or deleted.
    """
    files = tools.source.files
    latest: dict[str, float] = {}
    for file in files.list_files(RUNS):
        run = file.path.removeprefix(f"{RUNS}/").partition("/")[0]
        latest[run] = max(latest.get(run, 0.0), file.modified)
    now, holdings = files.now(), Holdings.load(files)
    in_use = {blob.run for path in holdings.repositories for blob in holdings.held(files, path)}
    old = [run for run, last in latest.items() if now - last >= tools.timing.hold and run not in in_use]
    for run in old:
        for folder in (f"{TRASH}/{run}", f"{RUNS}/{run}"):  # the journal last, so that a crash leaves it to find
            tools.guard()
            files.delete_files(list(files.list_files(folder)))
    return tuple(sorted(old))
