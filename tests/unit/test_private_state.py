"""What is kept in the user's own folder for state is for that user alone, whatever makes the folder first."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.forms.parameters import CheckParameters
from flows.server.prefect_server import locked_state
from tasks.benchmark_runs import open_benchmark
from tasks.benchmark_values.options import BenchmarkOptions
from tasks.oci.errors import ConfigurationError
from tasks.run_options import RunKind
from tasks.run_parts import state_of
from tasks.runs import open_run
from tasks.stop import Stop
from tasks.stores.state.cleanup_notes import RunNote, note_run
from tasks.stores.state.state_directory import default_state_root, made_state_root

EMPTY = BenchmarkOptions(location=None, cases=(), paths=(), resume=True)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder, not made yet, of a user whose files everybody may read."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of-user" / "state"))
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    before = os.umask(0o022)
    yield default_state_root(os.environ)
    os.umask(before)


def a_run() -> None:
    state_of(RunKind.CHECK, CheckParameters(source="/mnt/bucket").to_options(), Stop())


def a_cleanup() -> None:
    note_run(RunNote("a-run", "/mnt/bucket"))


def a_server() -> None:
    with locked_state():
        pass


def a_benchmark() -> None:
    with pytest.raises(ConfigurationError, match="--resume"), open_benchmark(EMPTY, Stop()):
        pass


@pytest.mark.parametrize("begin", [a_run, a_cleanup, a_server, a_benchmark])
def test_the_folder_is_made_for_its_user_alone(begin: Callable[[], None], root: Path) -> None:
    begin()
    assert (root.stat().st_mode & 0o777, root.parent.stat().st_mode & 0o777) == (0o700, 0o700)


def test_a_folder_that_is_there_keeps_its_rights(root: Path) -> None:
    root.mkdir(parents=True)
    root.chmod(0o775)
    a_run()
    assert root.stat().st_mode & 0o777 == 0o775


def test_where_another_folder_is_named_it_is_not_made(root: Path, tmp_path: Path) -> None:
    state_of(RunKind.CHECK, CheckParameters(source="/mnt/bucket", state=str(tmp_path)).to_options(), Stop())
    assert not root.exists()


def test_where_it_can_not_be_made_who_writes_there_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert made_state_root({"XDG_STATE_HOME": str(tmp_path / "file")}) == tmp_path / "file" / "layoutlift"


@pytest.mark.parametrize("own", [True, False], ids=["--state", "default"])
def test_a_folder_that_can_not_be_made_is_named_with_what_to_do(own: bool, root: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.touch()
    root.parent.parent.symlink_to(blocked)
    source = tmp_path / "bucket"
    source.mkdir()
    state = str(root / "named") if own else None
    options = CheckParameters(source=str(source), state=state).to_options()
    with pytest.raises(ConfigurationError) as raised, open_run(RunKind.CHECK, options, Stop()):
        pass
    said = str(raised.value)
    assert said.startswith("--state: ") is own
    assert said.endswith("; name a folder that this user may write with --state, or set XDG_STATE_HOME") is not own
