"""A file is there whole or not at all, and nothing else than a file is ever put in another's place."""

import errno
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from tasks.cleanup_plans import write_plan
from tasks.operations.cleanup.planning.limits import LimitCheck
from tasks.operations.cleanup.values import PlanHeader, PlanKind, PlanLimits, Timing
from tasks.ports import Metric, MetricKind
from tasks.stores import whole_files
from tasks.stores.metrics_file import MetricsFile
from tasks.stores.whole_files import keep_rights, whole_or_not_at_all

HEADER = PlanHeader("p1", PlanKind.CLEANUP, "/tree", 1.0, PlanLimits(), Timing(1.0, 2.0))


def write_metrics(path: Path) -> None:
    MetricsFile(path, {"source": "s"}).write([Metric("a_total", "About a.", MetricKind.COUNTER, {"": 1.0})])


WRITERS = [
    write_metrics,
    lambda path: list(write_plan(path, HEADER, [], LimitCheck(HEADER.limits, HEADER.timing.mode))),
]


@pytest.mark.parametrize("write", WRITERS)
def test_a_pipe_or_device_is_written_to_and_stays_what_it_is(write: Callable[[Path], object], tmp_path: Path) -> None:
    """As root, `--output /dev/null` would else make a file of it, for every program of the machine."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "stdout").symlink_to(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write(tmp_path / "stdout")
    reader.join(10)
    assert read[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipe", "stdout"]
    assert (tmp_path / "stdout").is_symlink()


def test_no_earlier_value_is_looked_for_in_a_device_or_pipe(tmp_path: Path) -> None:
    """`/dev/full` gives zeros without end, and a pipe that nobody writes to nothing, for ever."""
    os.mkfifo(tmp_path / "pipe")
    found: list[float | None] = []
    reader = threading.Thread(
        target=lambda: found.append(MetricsFile(tmp_path / "pipe", {}).value("a_total")), daemon=True
    )
    reader.start()
    reader.join(10)
    assert found == [None]


@pytest.mark.parametrize("write", WRITERS)
def test_a_link_stays_a_link(write: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "named").symlink_to(tmp_path / "file")
    write(tmp_path / "named")
    assert (tmp_path / "named").is_symlink()
    assert (tmp_path / "file").stat().st_size


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_standard_output_that_goes_to_a_file_keeps_all_that_is_printed(stream: str, tmp_path: Path) -> None:
    """`--report /dev/stdout >file`: another file of that name would hold the report, and no summary."""
    program = f"""
import sys
from pathlib import Path
from tasks.stores.whole_files import whole_or_not_at_all
print("before", file=sys.{stream}, flush=True)
with whole_or_not_at_all(Path("/dev/{stream}")) as out:
    out.write(b"report\\n")
print("after", file=sys.{stream})
"""
    with (tmp_path / "file").open("wb") as file:
        subprocess.run([sys.executable, "-c", program], check=True, **{stream: file})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "before\nreport\nafter\n"}


def test_what_was_there_before_stays_when_the_work_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    with pytest.raises(ZeroDivisionError), whole_or_not_at_all(tmp_path / "file") as out:
        out.write(b"%d" % (1 // 0))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "before"}


@pytest.mark.parametrize("name", ["n" * 255, "\u00e9" * 127])
def test_a_name_as_long_as_names_can_be_is_written(name: str, tmp_path: Path) -> None:
    with whole_or_not_at_all(tmp_path / name) as out:
        out.write(b"report")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP, errno.EPERM])
def test_an_owner_that_a_system_does_not_know_costs_no_report(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container without the ids of its volume's files; rights may stay where none may read more by that."""
    (tmp_path / "file").write_text("before")
    before = os.stat_result([0o100666, 1, 1, 1, 4711, 4711, 0, 0, 0, 0])
    for name in ("fchown", "fchmod"):
        monkeypatch.setattr(whole_files.os, name, Mock(side_effect=OSError(error, os.strerror(error))))
    with (tmp_path / "file").open("rb") as file:
        keep_rights(file.fileno(), before)
        with pytest.raises(OSError, match=re.escape(os.strerror(error))):
            keep_rights(file.fileno(), os.stat_result([0o100600, 1, 1, 1, 0, 0, 0, 0, 0, 0]))


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(("rights", "umask"), [(0o600, 0o022), (0o644, 0o077)])
def test_a_file_that_is_written_anew_keeps_its_rights(
    write: Callable[[Path], object], rights: int, umask: int, tmp_path: Path
) -> None:
    """A report that is nobody's business stays so, and another program can go on reading the metrics."""
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(rights)
    ours = os.umask(umask)
    try:
        write(tmp_path / "file")
    finally:
        os.umask(ours)
    assert (tmp_path / "file").stat().st_size
    assert (tmp_path / "file").stat().st_mode & 0o777 == rights


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_that_root_writes_anew_keeps_its_owner(tmp_path: Path) -> None:
    """Else its rights would shut out who could read it."""
    (tmp_path / "file").touch(mode=0o600)
    os.chown(tmp_path / "file", 1234, 1235)
    write_metrics(tmp_path / "file")
    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1234, 1235, 0o600)


def test_a_link_that_the_kernel_does_not_follow_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's, in a folder for everybody's temporary files; see `protected_symlinks` in proc_sys_fs(5)."""
    (tmp_path / "theirs").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "theirs")

    def refuse(path: Path, _: int) -> int:
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(whole_files.os, "open", refuse)
    with pytest.raises(PermissionError), whole_or_not_at_all(tmp_path / "link"):
        pytest.fail("it was opened")
    assert (tmp_path / "theirs").read_text() == "kept"
