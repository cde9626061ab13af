"""Plans of scheduled cleanups lie on a shelf, from which goes what is old."""

import os
import time
from pathlib import Path

import pytest

from tasks.stores.state.plan_shelf import KEPT_SECONDS, PlanShelf


@pytest.mark.parametrize(
    "name", [".draft-0000", "..draft-0000.jsonl.1111", "..draft-0000.1111", ".00001111.tmp", "old.jsonl", "run.open"]
)
@pytest.mark.parametrize("age", [0.0, 2 * KEPT_SECONDS])
def test_what_is_old_goes_also_drafts_of_runs_that_were_killed(tmp_path: Path, name: str, age: float) -> None:
    shelf, old = PlanShelf(tmp_path), tmp_path / name
    old.write_text("{}")
    os.utime(old, (time.time() - age,) * 2)
    draft = shelf.draft()
    draft.write_text("{}")
    kept = shelf.keep("another", draft, "plan", is_whole=True)
    assert old.exists() is not bool(age)
    assert shelf.find("another") == kept


def test_nobodys_file_is_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("somebody's")
    os.utime(tmp_path / "notes.txt", (0, 0))
    shelf = PlanShelf(tmp_path)
    draft = shelf.draft()
    draft.write_text("{}")
    shelf.keep("run", draft, "plan", is_whole=True)
    assert (tmp_path / "notes.txt").exists()


def test_what_another_run_does_with_its_own_meanwhile_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where schedules that were missed begin together: all cleanups have one shelf."""
    shelf, listed = PlanShelf(tmp_path), Path.iterdir
    theirs = shelf.draft()
    theirs.write_text("{}")

    def renamed_once_listed(folder: Path) -> list[Path]:
        found = list(listed(folder))
        if theirs.exists():
            theirs.rename(tmp_path / "theirs.jsonl")
        return found

    monkeypatch.setattr(Path, "iterdir", renamed_once_listed)
    draft = shelf.draft()
    draft.write_text("{}")
    assert shelf.keep("run", draft, "plan", is_whole=True) == shelf.find("run")
    assert (tmp_path / "theirs.jsonl").exists()
