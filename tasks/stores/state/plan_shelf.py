"""Plans of scheduled cleanups, kept from when they are made until they are applied, and for a while after.

A run that waits for a person ends its process, and another goes on with it. What it goes on with is found by the
run's own name; a plan that is not found is made anew, and somebody has to approve that one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.stores.state.state_errors import as_state_error, state_error
from tasks.stores.whole_files import is_unfinished

if TYPE_CHECKING:
    from pathlib import Path

KEPT_SECONDS = 90 * 86_400.0
"""How long plans stay: for a yes to them, and then for whoever wants to know what a run was about."""
_OPEN, _PLAN, _DRAFT = ".open", ".jsonl", ".draft-"


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A plan's file, and whether everything at the source could be read and judged when it was made."""

    path: Path
    is_whole: bool

    def digest(self) -> str:
        """What tells this very plan from any other.

        Raises:
            StateError: the file can't be read.
        """
        with as_state_error(self.path, "can't be read"), self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class PlanShelf:
    """Plans in a folder: `PLAN.jsonl` each, and `RUN.open` with the name of the plan that a run is at work on."""

    folder: Path

    def draft(self) -> Path:
        """Where a plan is to be written before its name is known.

        Raises:
            StateError: the folder can't be made.
        """
        with as_state_error(self.folder, "can't be made"):
            self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{_DRAFT}{secrets.token_hex(4)}"

    def keep(self, run: str, draft: Path, plan: str, *, is_whole: bool) -> KeptPlan:
        """Put a plan on the shelf for a run; plans that are done with for long go.

        Raises:
            StateError: the folder can't be written.
        """
        place = self.folder / f"{plan}{_PLAN}"
        note = json.dumps({"plan": plan, "is_whole": is_whole})
        with as_state_error(self.folder, "can't be written"):
            draft.replace(place)
            self._note(run).write_text(note, encoding="utf-8")
            self._clear()
        return KeptPlan(place, is_whole)

    def find(self, run: str) -> KeptPlan | None:
        """The plan that a run has not done with, None where there is none here.

        Raises:
            StateError: the folder can't be read.
        """
        try:
            note = json.loads(self._note(run).read_bytes())
            found = KeptPlan(self.folder / f"{note['plan']}{_PLAN}", bool(note["is_whole"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # none, or cut short by a death while it was written
        except OSError as error:
            raise state_error(self.folder, error, "can't be read") from error
        return found if found.path.is_file() else None

    def close(self, run: str) -> None:
        """Note that a run has done with its plan, which stays for a while.

        Raises:
            StateError: the folder can't be written.
        """
        with as_state_error(self.folder, "can't be written"):
            self._note(run).unlink(missing_ok=True)

    def _note(self, run: str) -> Path:
        return self.folder / f"{run}{_OPEN}"

    def _clear(self) -> None:
        """Remove what is old: plans, notes, and the drafts of runs that were killed."""
        for path in self.folder.iterdir():
            is_draft = _DRAFT in path.name or is_unfinished(path.name)
            is_ours = is_draft or path.name.endswith((_PLAN, _OPEN))
            with contextlib.suppress(FileNotFoundError):  # another run has renamed its draft, or done with its plan
                if is_ours and time.time() - path.stat().st_mtime > KEPT_SECONDS:
                    path.unlink()
