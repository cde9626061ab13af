"""What is no failure of a path is not counted as one."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.benchmark_values.cases import MIB, parse_case
from tasks.benchmark_values.options import ContentKind
from tasks.benchmark_values.paths import Visit
from tasks.oci.errors import LayoutliftError, ProgramFailedError, StateError
from tasks.operations.benchmark.catalogue import CATALOGUE
from tasks.stores.benchmark import mounted_path
from tasks.stores.benchmark.bench import Bench
from tasks.stores.benchmark.remains import WorkFolder
from tasks.stores.benchmark.venue import Venue, bucket_venue
from tasks.stores.pacing import Stop

CASE = parse_case("1kB")


def a_venue() -> Venue:
    return bucket_venue("run", "s3://none", endpoint_url="http://127.0.0.1:9", registry=None, plain_http=False)


@pytest.mark.parametrize(("free", "expected"), [(0, StateError), (64 * MIB, ProgramFailedError)])
def test_a_program_that_fails_on_a_full_disk_ends_the_run_and_is_not_called_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, expected: type[LayoutliftError]
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    path = replace(CATALOGUE["directory"], pull=("/bin/sh", "-c", "echo no space left >&2; exit 1"))
    with WorkFolder(tmp_path, "run") as work:
        bench = Bench(a_venue(), work, Stop(), 0.0, drop_caches=False)
        bench.begin(CASE, ContentKind.BINARY)
        with pytest.raises(expected, match="no space left"):
            next(bench.visit(Visit(path, CASE, 1)))


DIES = ("/bin/sh", "-c", "echo $$ > pid; echo out of memory; exec sleep 600")
ENDED = "pid=$(cat mounted/pid); kill -9 $pid; while [ -e /proc/$pid/exe ]; do :; done"


@pytest.mark.parametrize("pull", [f"{ENDED}; exit 1", ENDED], ids=["failing", "ending well"])
def test_a_mount_that_dies_is_told_by_what_it_said_and_not_by_what_was_read_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pull: str
) -> None:
    monkeypatch.setattr(mounted_path, "check_fuse", lambda: None)
    monkeypatch.setattr(mounted_path, "is_mounted", lambda mountpoint: (mountpoint.parent / "pid").exists())
    monkeypatch.setattr(mounted_path, "unmount", lambda _: None)
    path = replace(CATALOGUE["directory"], mount=DIES, unmount=("true",), pull=("/bin/sh", "-c", pull))
    with WorkFolder(tmp_path, "run") as work:
        bench = Bench(a_venue(), work, Stop(), 0.0, drop_caches=False)
        bench.begin(CASE, ContentKind.BINARY)
        with pytest.raises(ProgramFailedError, match="directory ended while it was used: out of memory"):
            next(bench.visit(Visit(path, CASE, 1)))
