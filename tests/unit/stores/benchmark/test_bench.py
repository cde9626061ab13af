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
from tasks.stores.benchmark.bench import Bench
from tasks.stores.benchmark.remains import WorkFolder
from tasks.stores.benchmark.venue import bucket_venue
from tasks.stores.pacing import Stop


@pytest.mark.parametrize(("free", "expected"), [(0, StateError), (64 * MIB, ProgramFailedError)])
def test_a_program_that_fails_on_a_full_disk_ends_the_run_and_is_not_called_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, expected: type[LayoutliftError]
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    venue = bucket_venue("run", "s3://none", endpoint_url="http://127.0.0.1:9", registry=None, plain_http=False)
    path = replace(CATALOGUE["directory"], pull=("/bin/sh", "-c", "echo no space left >&2; exit 1"))
    case = parse_case("1kB")
    with WorkFolder(tmp_path, "run") as work:
        bench = Bench(venue, work, Stop(), 0.0, drop_caches=False)
        bench.begin(case, ContentKind.BINARY)
        with pytest.raises(expected, match="no space left"):
            next(bench.visit(Visit(path, case, 1)))
