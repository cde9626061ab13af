"""The benchmark on real parts: SeaweedFS, mounts, the SDK, a registry; sizes so small that only the course counts."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import SeaweedFS, find_tool, wait_until
from infra.real_parts.mounts import S3Fs
from infra.real_parts.registries import DebianRegistry
from tasks.stores.benchmark import page_cache
from tasks.stores.directory.mounts import mount_points
from tasks.stores.local_parts.fuse import is_mounted
from tests.support.buckets import upload
from tests.support.command import Ended, Layoutlift
from tests.support.prefect_history import PrefectHistory
from tests.support.real_parts import skipped_where_unavailable

SMALL = ("--sizes", "40kB", "--pause", "0", "--keep-page-cache", "--repeats", "1")
TINY = (*SMALL, "--multis", "10kBx4")
NO_BUCKET = "s3://none-that-is-read"
"""For paths that read no bucket: no server is started, and nothing is asked for."""
MARKER = ".layoutlift-benchmark"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(layoutlift: Layoutlift) -> Layoutlift:
    """The command, with the programs of the real parts on its path."""
    return with_programs(layoutlift)


def with_programs(layoutlift: Layoutlift) -> Layoutlift:
    with skipped_where_unavailable():
        folders = [str(find_tool(name).parent) for name in ("oras", "goofys", "s3fs")]
    layoutlift.environment = {
        "PATH": ":".join([*folders, "/usr/sbin:/usr/bin:/sbin:/bin"]),
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "nobody's",
    }
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


COPY: dict[str, object] = {"pull": ["sh", "-c", "cp {layout}/blobs/sha256/* {out}"], "arrives": "blobs"}


def faulty_path(rules: Path, error: str | None, **more: object) -> dict[str, object]:
    """A mount of the layout in the plain directory, with an error in what is read of each blob."""
    found = [{"call": "read", "path": "*/blobs/*", "error": error, "times": 999}] if error else []
    rules.write_text(json.dumps(found))
    mount = ["{python}", "-m", "tests.support.faulty_operations", "{directory}", "{mountpoint}", str(rules)]
    environment = {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    return {"origin": "directory", "mount": mount, "environment": environment, **more}


@pytest.mark.fuse
def test_a_path_that_returns_wrong_bytes_fails_and_has_no_figure(bench: Layoutlift, tmp_path: Path) -> None:
    """Oras compares digests itself; `cp` does not, so that only our own hash finds it."""
    faults = {"sound": (None, {}), "flips": ("flip", {}), "cuts": ("short", {}), "flips-copied": ("flip", COPY)}
    specs = {name: faulty_path(tmp_path / name, error, **more) for name, (error, more) in faults.items()}
    paths = tmp_path / "paths.yaml"
    paths.write_text(json.dumps({"paths": specs}))
    ended = run(bench, NO_BUCKET, *SMALL, "--paths-file", paths, "--paths", " ".join(faults), code=1)
    failures = {row["path"]: row for row in rows(bench, "failure")}
    codes = {name: row["code"] for name, row in failures.items()}
    assert codes == {"flips": "program_failed", "cuts": "program_failed", "flips-copied": "digest_mismatch"}
    assert {(row["path"], row["phase"]) for row in rows(bench)} == {("sound", "cold"), ("sound", "warm")}
    named = failures["flips-copied"]["message"]
    assert re.search("other bytes: sha256:[0-9a-f]{64} and not sha256:[0-9a-f]{64}", named)
    assert f"! failed: flips-copied 40kB cold 1: {named}" in ended.stdout
    assert "3 measurements failed, the first: " in ended.stderr
    assert nothing_is_left(bench)


def in_bucket(bench: Layoutlift, s3: SeaweedFS) -> None:
    bench.environment |= s3.environment()


def keys(s3: SeaweedFS, bucket: str) -> set[str]:
    return {found["Key"] for found in s3.client().list_objects_v2(Bucket=bucket).get("Contents", [])}


@pytest.fixture(scope="session")
def counted(tmp_path_factory: pytest.TempPathFactory, seaweedfs: SeaweedFS) -> tuple[Layoutlift, set[str]]:
    """A run in a bucket of the user's, whose service does not count requests; and the keys that are left in it."""
    bench = with_programs(Layoutlift(tmp_path_factory.mktemp("home")))
    bucket = seaweedfs.create_bucket("bench-own")
    seaweedfs.client().put_object(Bucket=bucket, Key="theirs/file", Body=b"x")
    in_bucket(bench, seaweedfs)
    run(bench, f"s3://{bucket}/bench", *SMALL, "--paths", "s3fs goofys native")
    return bench, keys(seaweedfs, bucket)


def test_a_bucket_of_the_users_is_left_as_it_was(counted: tuple[Layoutlift, set[str]], seaweedfs: SeaweedFS) -> None:
    bench, left = counted
    assert left == {"theirs/file"}
    assert nothing_is_left(bench)
    for secret in (seaweedfs.secret_key, seaweedfs.access_key):
        assert not any(secret in path.read_text() for path in (bench.home / "out").glob("*.[jcdm]*"))


def test_requests_are_counted_at_a_service_that_does_not_say_them(counted: tuple[Layoutlift, set[str]]) -> None:
    bench, _ = counted
    pulls = [row for row in rows(bench) if row["phase"] != "push"]
    assert all(row["s3_requests"].get("GET", 0) >= 1 for row in pulls if row["phase"] == "cold")
    cold = {row["path"]: row["s3_sent"] for row in pulls if row["phase"] == "cold"}
    assert cold.keys() == {"s3fs", "goofys", "native"}
    assert all(sent >= 40_000 for sent in cold.values()), "a cold pull reads the whole content from the service"
    (about,) = rows(bench, "about")
    assert about["counted"] == "by a proxy, in pulls of their own"


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


@pytest.mark.parametrize(
    "ending", [signal.SIGINT, signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)]
)
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
    if ending is not signal.SIGKILL:
        assert process.returncode == 130
    else:
        assert keys(seaweedfs, bucket)
        assert not nothing_is_left(bench)
        run(bench, f"s3://{bucket}", *SMALL, "--paths", "native", "--uncounted")
    assert keys(seaweedfs, bucket) == set()
    assert nothing_is_left(bench)


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        (("local", "--mount-option", "native=x"), 2, "native"),
        ((NO_BUCKET, "--sizes", "900000000000", "--paths", "directory"), 3, "MiB are free"),
    ],
    ids=["options", "space"],
)
def test_what_makes_no_sense_is_one_line(bench: Layoutlift, options: tuple[str, ...], code: int, named: str) -> None:
    ended = run(bench, *options, code=code)
    (said,) = [line for line in ended.stderr.splitlines() if line.startswith("layoutlift: ")]
    assert named in said
    assert nothing_is_left(bench)


def test_the_articles_variables_shape_a_run(bench: Layoutlift, seaweedfs: SeaweedFS) -> None:
    bucket, other = seaweedfs.create_bucket("bench-article"), seaweedfs.create_bucket("bench-article-goofys")
    in_bucket(bench, seaweedfs)
    bench.environment |= {
        "S3_BUCKET": bucket,
        "DAT_FILE": str(bench.home / "orastime.dat"),
        "SINGLE_LIST": "10kB",
        "MULTI_LIST": "5kBx2",
        "S3FS_TEST": "false",
        "GOOFYS_TEST": "true",
        "GOOFYS_S3_BUCKET": other,
    }
    others = "rclone geesefs mount-s3 native aws-cli s5cmd registry"
    options = ("--without", others, "--repeats", "1", "--pause", "0", "--keep-page-cache", "--uncounted")
    ended = run(bench, *options)
    counted = "S3_BUCKET, DAT_FILE, SINGLE_LIST, MULTI_LIST, S3FS_TEST, GOOFYS_S3_BUCKET"
    assert f"from the environment: {counted}\n" in ended.stderr
    assert {(row["path"], row["case"]) for row in rows(bench)} == {
        (path, case) for path in ("goofys", "directory") for case in ("10kB", "5kBx2")
    }
    (about,) = rows(bench, "about")
    mounted = {path["name"]: path["mount"] for path in about["paths"]}
    assert f"{other}:layoutlift-benchmark/run-" in mounted["goofys"]
    head, *lines = (bench.home / "orastime.dat").read_text().splitlines()
    assert head.split() == ["#type", "sizelabel", "realtime", "usertime", "systime"]
    assert {line.split("\t")[0] for line in lines} == {"goofys", "goofys-cold", "directory", "directory-cold"}
    assert keys(seaweedfs, bucket) == keys(seaweedfs, other) == set()


@pytest.mark.fuse
def test_mount_options_and_an_own_mount_are_used(bench: Layoutlift, seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    bucket, own = seaweedfs.create_bucket("bench-options"), seaweedfs.create_bucket("bench-own-mount")
    in_bucket(bench, seaweedfs)
    with S3Fs(tmp_path / "own", s3=seaweedfs, bucket=own) as mount:
        (mount.mountpoint / "theirs").write_bytes(b"x")
        options = ("--mount-option", "s3fs=multireq_max=3", "--path-mount", f"mine={mount.mountpoint}")
        run(bench, f"s3://{bucket}", *SMALL, "--paths", "s3fs mine", "--uncounted", *options)
        assert {row["path"] for row in rows(bench)} == {"s3fs", "mine"}
        assert {path.name for path in mount.mountpoint.iterdir()} == {"theirs"}
    (about,) = rows(bench, "about")
    mounted = {path["name"]: path["mount"] for path in about["paths"]}
    assert "-o multireq_max=3" in mounted["s3fs"]
    assert mounted["mine"] == str(mount.mountpoint)
    assert keys(seaweedfs, own) == {"theirs"}


@pytest.mark.fuse
def test_a_mount_with_a_cache_of_its_own_as_the_page_shows_it_is_cold_at_each_visit(
    bench: Layoutlift, tmp_path: Path
) -> None:
    """A cache that outlives the mount would answer all cold pulls but the first."""
    (shown,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "benchmark.md").read_text(), re.DOTALL)
    (tmp_path / "paths.yaml").write_text(shown)
    options = (*SMALL, "--paths-file", tmp_path / "paths.yaml", "--paths", "s3fs-cached", "--repeats", "2")
    run(bench, "local", *options)
    sent = {(row["phase"], row["repeat"]): row["s3_sent"] for row in rows(bench) if row["phase"] != "push"}
    assert min(sent["cold", repeat] for repeat in (1, 2)) >= 40_000 > max(sent["warm", repeat] for repeat in (1, 2))


@pytest.mark.soak  # it slows down every test beside it
@pytest.mark.fuse
@pytest.mark.skipif(not page_cache.may_drop(), reason="only root may empty the kernel's caches")
def test_a_cold_pull_reads_everything_from_the_service_and_a_warm_one_what_the_kernel_does_not_have(
    bench: Layoutlift,
) -> None:
    options = ("--sizes", "4MiB", "--paths", "goofys directory", "--repeats", "2", "--pause", "0")
    run(bench, "local", *options)
    sent = {(row["phase"], row["repeat"]): row["s3_sent"] for row in rows(bench) if row["path"] == "goofys"}
    assert all(sent["cold", repeat] >= 4 * 1024**2 for repeat in (1, 2))
    assert all(sent["warm", repeat] < 1024**2 for repeat in (1, 2))
    (about,) = rows(bench, "about")
    assert "dropped" in about["cold"]


class Deleting(DebianRegistry):
    """A registry that lets its users delete, or not."""

    def __init__(self, folder: Path, *, allowed: bool) -> None:
        super().__init__(folder)
        self._allowed = allowed

    def _configuration(self) -> dict[str, Any]:
        found = super()._configuration()
        return {**found, "storage": {**found["storage"], "delete": {"enabled": self._allowed}}}


@pytest.mark.parametrize("allowed", [True, False])
def test_what_was_pushed_to_a_registry_of_the_users_is_deleted_or_named(
    bench: Layoutlift, tmp_path: Path, *, allowed: bool
) -> None:
    with skipped_where_unavailable(), Deleting(tmp_path / "registry", allowed=allowed) as registry:
        ended = run(bench, NO_BUCKET, *SMALL, "--paths", "registry", "--registry", registry.host, "--plain-http")
        assert {row["path"] for row in rows(bench)} == {"registry"}
        stored = tmp_path / "registry" / "storage" / "docker" / "registry" / "v2" / "repositories"
        (repository,) = (stored / "layoutlift-benchmark").iterdir()
        left = list(repository.glob("_layers/**/link")) + list(repository.glob("_manifests/tags/*/current/link"))
    assert bool(left) is not allowed
    named = f"{registry.host}/layoutlift-benchmark/{repository.name}:40kB is still in the registry"
    assert (named in ended.stdout) is not allowed
    assert ("is still in the registry" in (bench.home / "out" / "benchmark.md").read_text()) is not allowed


def test_a_registry_that_is_away_ends_it_before_anything_is_measured(bench: Layoutlift) -> None:
    away = ["--paths", "registry,directory", "--registry", "127.0.0.1:1", "--plain-http"]
    ended = run(bench, NO_BUCKET, *SMALL, *away, code=2)
    assert ended.stderr.splitlines()[-1].startswith("layoutlift: --registry 127.0.0.1:1: dial tcp")
    assert not (bench.home / "out").exists()
    assert nothing_is_left(bench)


def test_an_interrupted_run_is_resumed_without_measuring_twice(bench: Layoutlift) -> None:
    options = ["--sizes", "10kB 20kB 30kB", "--paths", "directory", "--repeats", "2", "--keep-page-cache"]
    options += ["--pause", "0.2"]
    line = ["benchmark", "run", NO_BUCKET, *options, "--standalone", "--out", bench.home / "out"]
    written = bench.home / "out" / "benchmark.jsonl"
    with bench.running_plainly(*map(str, line)) as process:
        wait_until(lambda: written.exists() and '"kind":"case"' in written.read_text(), what="a case has ended")
        process.kill()
        process.communicate(timeout=60)
    before = [row for row in rows(bench) if row["case"] == "10kB"]
    refused = run(bench, NO_BUCKET, *options, "--resume", "--content", "binary", code=2)
    assert "its content was 'text'" in refused.stderr
    ended = run(bench, NO_BUCKET, *options, "--resume")
    assert "10kB directory" not in ended.stderr
    assert [row for row in rows(bench) if row["case"] == "10kB"] == before
    assert [row["case"] for row in rows(bench)] == [case for case in ("10kB", "20kB", "30kB") for _ in range(4)]
    assert nothing_is_left(bench)


@pytest.mark.operations
@pytest.mark.timeout(900)
def test_a_run_and_what_became_slower_are_seen_on_a_prefect_server(
    bench: Layoutlift, prefect_environment: dict[str, str]
) -> None:
    bench.environment |= prefect_environment
    line = ["benchmark", "run", "local", *TINY, "--paths", "native directory", "--repeats", "3"]
    assert re.search(r"^40kB +directory +cold ", bench(*line, "--out", "out").stdout, re.MULTILINE)
    be_a_thousand_times_as_fast_before(bench)
    slower = bench(*line, "--out", "out", code=1)
    said = next(row for row in slower.stderr.splitlines() if row.startswith("layoutlift: slower than before"))
    assert re.search(r"native 40kB warm: [\d.]+ MiB/s, before [\d.]+ MiB/s \(-\d+ %\)", said)

    history = PrefectHistory.of(prefect_environment)
    runs = sorted(history.runs("benchmark local"), key=lambda each: each["start_time"])
    assert [each["state_type"] for each in runs] == ["COMPLETED", "FAILED"]
    assert "before" in runs[-1]["state"]["message"]
    assert {task["name"] for task in history.tasks(runs[0])} == {"benchmark 40kB", "benchmark 10kBx4"}
    assert "benchmark-trend" not in history.artifacts(runs[0])
    artifacts = history.artifacts(runs[-1])
    assert artifacts["benchmark-report"]["data"].startswith("# Benchmark")
    assert "slower than before: " in artifacts["benchmark-report"]["data"]
    assert {row["path"] for row in json.loads(artifacts["benchmark-table"]["data"])} == {"native", "directory"}
    for plot in ("throughput", "cold-warm", "single-multi", "trend"):
        assert artifacts[f"benchmark-{plot}"]["data"].startswith("data:image/png;base64,")
    for kind in ("dat", "csv", "jsonl"):
        assert artifacts[f"benchmark-{kind}"]["data"].startswith("```\n")


def be_a_thousand_times_as_fast_before(bench: Layoutlift) -> None:
    history = bench.home / "state" / "layoutlift" / "benchmark" / "history.jsonl"
    runs = [json.loads(line) for line in history.read_text().splitlines()]
    assert len(runs) == 1
    for each in runs:
        for ends in ("rates", "slowest"):
            each[ends] = {name: 1000 * rate for name, rate in each[ends].items()}
    history.write_text("".join(json.dumps(each) + "\n" for each in runs))
