"""Which source a cleanup changed, by the run's name: so that `undo` needs no more than that name, on this machine."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError
from tasks.stores.state.state_directory import default_state_root, made_state_root
from tasks.stores.state.state_errors import as_state_error

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunNote:
    """A run, the source that it changed, and how that is reached."""

    run: str
    source: str
    endpoint_url: str | None = None
    request_payer: bool = False


def note_run(note: RunNote) -> None:
    """Remember a run, before it changes anything.

    Raises:
        StateError: the state folder can't be written.
    """
    place = _place(note.run)
    made_state_root(os.environ)
    with as_state_error(place, "can't be written"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(asdict(note)))


def read_note(run: str) -> RunNote:
    """What is remembered of a run.

    Raises:
        ConfigurationError: nothing that can be read.
    """
    try:
        return RunNote(**json.loads(_place(run).read_text()))
    except (OSError, ValueError, TypeError):
        raise ConfigurationError(
            f"nothing is known of a run {run!r} on this machine; name the source that it changed with --source"
        ) from None


def _place(run: str) -> Path:
    if not run or "/" in run or run.startswith("."):
        raise ConfigurationError(f"{run!r} is no name of a run")
    return default_state_root(os.environ) / "cleanups" / f"{run}.json"
