"""The benchmark on real parts: SeaweedFS, mounts, the SDK, a registry; sizes so small that only the course counts."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import SeaweedFS, find_tool, wait_until
from infra.real_parts.mounts import is_mounted
from tasks.stores.mounts import mount_points
from tests.support.buckets import upload
from tests.support.command import Ended, Layoutlift
from tests.support.real_parts import skipped_where_unavailable

TINY = ("--sizes", "40kB", "--multis", "10kBx4", "--pause", "0", "--keep-page-cache")
MARKER = ".layoutlift-benchmark"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(layoutlift: Layoutlift) -> Layoutlift:
    """The command, with the programs of the real parts on its path."""
    with skipped_where_unavailable():
        folders = [str(find_tool(name).parent) for name in ("oras", "goofys", "s3fs")]
    layoutlift.environment = {"PATH": ":".join([*folders, "/usr/sbin:/usr/bin:/sbin:/bin"])}
    return layoutlift


def run(bench: Layoutlift, *options: str | Path, code: int = 0, **more: Any) -> Ended:
    line = ["benchmark", "run", *options, "--standalone", "--out", bench.home / "out"]
    return bench(*line, code=code, **more)


def rows(bench: Layoutlift, kind: str = "measurement") -> list[dict[str, Any]]:
    lines = (bench.home / "out" / "benchmark.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


def nothing_is_left(bench: Layoutlift) -> bool:
    work = bench.home / "state" / "layoutlift" / "benchmark" / "work"
    return not list(work.glob("*")) and not any(str(bench.home) in point for point in mount_points())


FAULTY = """
paths:
  faulty:
    origin: directory
    mount: ["{{python}}", -m, tests.support.faulty_operations, "{{directory}}", "{{mountpoint}}", {rules}]
    environment: {{PYTHONPATH: {root}, LC_ALL: C.UTF-8}}
"""


@pytest.mark.fuse
@pytest.mark.parametrize(("error", "code"), [("flip", "program_failed"), ("short", "program_failed")])
def test_a_path_that_returns_wrong_bytes_fails_and_has_no_figure(
    bench: Layoutlift, tmp_path: Path, error: str, code: str
) -> None:
    rules = tmp_path / "rules.json"
    paths = tmp_path / "paths.yaml"
    paths.write_text(FAULTY.format(root=ROOT, rules=rules))
    options = ("local", "--sizes", "40kB", "--pause", "0", "--keep-page-cache", "--repeats", "1")
    chosen = ("--paths-file", paths, "--paths", "faulty directory")

    rules.write_text("[]")
    run(bench, *options, *chosen)
    assert {row["path"] for row in rows(bench)} == {"faulty", "directory"}

    rules.write_text(json.dumps([{"call": "read", "path": "*/blobs/*", "error": error, "times": 999}]))
    ended = run(bench, *options, *chosen, code=1)
    assert "1 measurements failed, the first: faulty 40kB cold" in ended.stderr
    (failure,) = rows(bench, "failure")
    assert failure["code"] == code
    assert {row["path"] for row in rows(bench)} == {"directory"}
    assert "! failed: faulty 40kB cold" in ended.stdout
    assert nothing_is_left(bench)


def test_a_path_whose_program_does_not_check_what_it_reads_fails_by_our_own_hash(
    bench: Layoutlift, tmp_path: Path
) -> None:
    """Oras compares digests itself; `cp` does not."""
    paths = tmp_path / "paths.yaml"
    copy = 'for f in {directory}/junk/blobs/sha256/*; do head -c 30000 "$f" > {out}/$(basename "$f"); done'
    paths.write_text(f"paths: {{cut: {{origin: directory, arrives: blobs, pull: [sh, -c, {json.dumps(copy)}]}}}}")
    options = ("--sizes", "40kB", "--pause", "0", "--keep-page-cache", "--repeats", "1")
    run(bench, "local", *options, "--paths-file", paths, "--paths", "cut", code=1)
    assert [row["code"] for row in rows(bench, "failure")] == ["digest_mismatch"]
    assert rows(bench) == []


def in_bucket(bench: Layoutlift, s3: SeaweedFS) -> None:
    bench.environment |= s3.environment()


def keys(s3: SeaweedFS, bucket: str) -> set[str]:
    return {found["Key"] for found in s3.client().list_objects_v2(Bucket=bucket).get("Contents", [])}


def test_a_bucket_of_the_users_is_left_as_it_was(bench: Layoutlift, seaweedfs: SeaweedFS) -> None:
    bucket = seaweedfs.create_bucket("bench-own")
    seaweedfs.client().put_object(Bucket=bucket, Key="theirs/file", Body=b"x")
    in_bucket(bench, seaweedfs)
    run(bench, f"s3://{bucket}/bench", *TINY, "--paths", "s3fs native", "--repeats", "1")
    assert {row["path"] for row in rows(bench)} == {"s3fs", "native"}
    assert keys(seaweedfs, bucket) == {"theirs/file"}
    assert nothing_is_left(bench)
    for secret in (seaweedfs.secret_key, seaweedfs.access_key):
        assert not any(secret in path.read_text() for path in (bench.home / "out").glob("*.[jcdm]*"))


def test_a_prefix_that_holds_anything_else_is_refused(
    bench: Layoutlift, seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    bucket = seaweedfs.create_bucket("bench-foreign")
    (tmp_path / "run-1").mkdir()
    (tmp_path / "run-1" / "data").write_bytes(b"x")
    upload(seaweedfs, tmp_path, bucket, "mine/")
    in_bucket(bench, seaweedfs)
    ended = run(bench, f"s3://{bucket}/mine", *TINY, "--paths", "native", code=3)
    assert "run-1/data" in ended.stderr
    assert keys(seaweedfs, bucket) == {"mine/run-1/data"}
    seaweedfs.client().put_object(Bucket=bucket, Key=f"mine/{MARKER}", Body=b"{}")
    assert "run-1/data" in run(bench, f"s3://{bucket}/mine", *TINY, "--paths", "native", code=3).stderr
    assert keys(seaweedfs, bucket) == {"mine/run-1/data", f"mine/{MARKER}"}


@pytest.mark.parametrize("ending", [signal.SIGINT])
def test_a_run_that_ends_early_leaves_nothing_or_the_next_one_removes_it(
    bench: Layoutlift, seaweedfs: SeaweedFS, ending: signal.Signals
) -> None:
    bucket = seaweedfs.create_bucket(f"bench-{ending.name.lower()}")
    in_bucket(bench, seaweedfs)
    work = bench.home / "state" / "layoutlift" / "benchmark" / "work"
    options = [f"s3://{bucket}", "--sizes", "40kB", "--keep-page-cache", "--paths", "s3fs", "--standalone"]
    with bench.running_plainly("benchmark", "run", *options, "--pause", "600") as process:
        wait_until(lambda: any(map(is_mounted, work.glob("*/mounted/mount"))), what="s3fs is mounted")
        wait_until(lambda: len(keys(seaweedfs, bucket)) > 3, what="something is in the bucket")
        process.send_signal(ending)
        process.communicate(timeout=60)
    if ending is signal.SIGINT:
        assert process.returncode == 130
    else:
        assert keys(seaweedfs, bucket)
        assert not nothing_is_left(bench)
        run(bench, f"s3://{bucket}", *TINY, "--paths", "native", "--repeats", "1")
    assert keys(seaweedfs, bucket) == set()
    assert nothing_is_left(bench)


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        (("s3:/bucket",), 2, "s3://bucket"),
        (("local", "--sizes", "8 miles"), 2, "miles"),
        (("local", "--paths", "nobody"), 2, "nobody"),
        (("local", "--mount-option", "native=x"), 2, "native"),
        (("local", "--sizes", "900000000000"), 3, "MiB are free"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else None,
)
def test_what_makes_no_sense_is_one_line(bench: Layoutlift, options: tuple[str, ...], code: int, named: str) -> None:
    ended = run(bench, *options, code=code)
    (said,) = [line for line in ended.stderr.splitlines() if line.startswith("layoutlift: ")]
    assert named in said
    assert nothing_is_left(bench)


def test_plot_names_what_it_cannot_read(bench: Layoutlift, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.dat"
    wrong.write_text("s3fs 8MiB\n")
    assert "wrong.dat:1" in bench("benchmark", "plot", wrong, code=2).stderr
