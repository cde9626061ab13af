"""A cleanup killed at any moment leaves nothing broken, and the next one ends its work."""

import itertools
import json
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.real_parts import S3Fs, SeaweedFS, wait_until
from tasks.operations.cleanup.records.journal import Step
from tasks.operations.cleanup.values import Timing
from tests.support.buckets import upload, use_environment
from tests.support.cleanup_trials import (
    REF_NAME,
    Cleaning,
    entries,
    files_in_bucket,
    files_in_directory,
    holes,
    layouts,
)
from tests.support.layouts import LayoutBuilder, random_bytes
from tests.support.real_parts import Cli, running

NO_WAITING = Timing(grace=0.0, hold=0.0)
KEEP = 2
ENDS_WITHIN = 60.0
"""Seconds in which a run whose mount died has said so; on a quiet machine it is one or two."""
REPOSITORIES, TAGS = 6, 5
RUNS = ".layoutlift/runs/"
_numbers = itertools.count(1)


@dataclass
class Kills:
    """A source, and how to see all of it; `records` are the names of the journals' files, seen while it changes."""

    cleaning: Cleaning
    look: Callable[[], Mapping[str, bytes]]
    read: Callable[[str], bytes | None]
    records: Callable[[], set[str]]


def write_tree(root: Path) -> None:
    """Repositories whose tags share some layers, each tag with a referrer."""
    for number in range(REPOSITORIES):
        layout = LayoutBuilder(root / "team" / f"app-{number}")
        for tag in range(TAGS):
            layers = [random_bytes(number, 2000), random_bytes(1000 + number * 100 + tag, 3000)]
            image = layout.image(f"v{tag}", layers=layers)
            layout.referrer(image, content=b"sbom %d" % tag)
        layout.image("stable", layers=[random_bytes(9000 + number, 1000)])
        layout.write()


def push_tree(oras: Cli, root: Path, work: Path) -> None:
    """The same, smaller, as the ORAS command writes it through a mount."""
    shared, own = work / "shared", work / "own"
    shared.write_bytes(random_bytes(1, 2000))
    layer = "application/vnd.example.layer"
    for number, tag in [(number, tag) for number in range(2) for tag in (*(f"v{n}" for n in range(TAGS)), "stable")]:
        own.write_bytes(f"{number} {tag} ".encode() * 300)
        image = f"{root}/team/app-{number}:{tag}"
        oras("push", "--oci-layout", image, f"shared:{layer}", f"own:{layer}", cwd=work)
        if tag in {"v0", "v4"}:
            oras("attach", "--oci-layout", "--artifact-type", "application/vnd.example.sbom", image, "own", cwd=work)


@pytest.fixture(
    params=[
        "directory",
        pytest.param("mount", marks=pytest.mark.fuse),
        pytest.param("bucket", marks=pytest.mark.soak),
    ]
)
def kills(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Kills]]:
    mounts = ExitStack()

    def start(name: str) -> Kills:
        root, work = tmp_path / name, tmp_path / f"work-{name}"
        work.mkdir()
        if request.param == "directory":
            write_tree(root)
            return Kills(
                Cleaning(str(root), work, NO_WAITING, KEEP, only_writer=True),
                lambda: files_in_directory(root),
                lambda path: (root / path).read_bytes() if (root / path).exists() else None,
                lambda: set(map(str, (root / RUNS).rglob("*.json"))),
            )
        s3: SeaweedFS = request.getfixturevalue("seaweedfs")
        use_environment(s3, monkeypatch)
        bucket = s3.create_bucket(f"kills-{request.param}-{next(_numbers)}")
        if request.param == "mount":
            mount = mounts.enter_context(running(S3Fs(root, s3=s3, bucket=bucket)))
            push_tree(request.getfixturevalue("oras_cli"), mount.mountpoint, work)
            cleaning = Cleaning(str(mount.mountpoint), work, NO_WAITING, KEEP, only_writer=True)
        else:
            write_tree(root)
            upload(s3, root, bucket)
            cleaning = Cleaning(f"s3://{bucket}", work, NO_WAITING, KEEP)
        return in_bucket(s3, bucket, cleaning)

    with mounts:
        yield start


def in_bucket(s3: SeaweedFS, bucket: str, cleaning: Cleaning) -> Kills:
    """A source that is looked at natively, whichever way it is cleaned up."""
    client = s3.client()

    def read(key: str) -> bytes | None:
        try:
            return client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None

    def records() -> set[str]:
        return {each["Key"] for each in client.list_objects_v2(Bucket=bucket, Prefix=RUNS).get("Contents", ())}

    return Kills(cleaning, lambda: files_in_bucket(client, bucket), read, records)


def kill_after(trial: Kills, seconds: float) -> bool:
    """Apply a fresh plan, and kill the process so long after it took the lease; False when it was quicker."""
    process = trial.cleaning.start(trial.cleaning.plan())
    began, wait = begin_of(trial), threading.Event()
    while process.poll() is None and begin_of(trial) == began:
        wait.wait(0.002)
    wait.wait(seconds)
    return was_killed(process)


def kill_at(trial: Kills, step: Step) -> bool:
    """Apply a fresh plan, and kill the process once it has announced such a step; False when it was quicker."""
    plan, known, wait = trial.cleaning.plan(), trial.records(), threading.Event()
    process = trial.cleaning.start(plan)
    while process.poll() is None and not any(name.endswith(f"-{step}.json") for name in trial.records() - known):
        wait.wait(0.002)
    return was_killed(process)


def was_killed(process: subprocess.Popen[str]) -> bool:
    """Kill a process, unless it has come to its end, which has to be a good one."""
    process.send_signal(signal.SIGKILL)
    output = process.communicate()[0]
    assert process.returncode in {-signal.SIGKILL, 0}, output
    return process.returncode != 0


def begin_of(trial: Kills) -> bytes | None:
    return trial.read(".layoutlift/lease")


def check_between(trial: Kills, before: Mapping[str, bytes]) -> None:
    """What may be seen after a kill: each index as it was or as it was to be, and everything that it names."""
    files = trial.look()
    assert list(holes(files)) == []
    for layout in layouts(before):
        now = {entry["digest"] for entry in entries(files, layout)}
        assert now <= {entry["digest"] for entry in entries(before, layout)}
        assert kept_tags() <= tags(files, layout)


def tags(files: Mapping[str, bytes], layout: str) -> set[str]:
    found = (entry.get("annotations", {}).get(REF_NAME) for entry in entries(files, layout))
    return {tag for tag in found if tag is not None}


def kept_tags() -> set[str]:
    return {"stable", *(f"v{tag}" for tag in range(TAGS - KEEP, TAGS))}


def check_end(trial: Kills) -> None:
    """Run to the end: only what is kept is left, whole, and nothing of ours but the lease and the clock."""
    for _ in range(4):
        trial.cleaning.run()
    files = trial.look()
    assert list(holes(files)) == []
    for layout in layouts(files):
        assert tags(files, layout) == kept_tags()
        named = set(reach(files, layout))
        assert {path for path in files if path.startswith(f"{layout}/blobs/")} == named


def reach(files: Mapping[str, bytes], layout: str) -> set[str]:
    pending, found = list(entries(files, layout)), set()
    while pending:
        descriptor = pending.pop()
        path = f"{layout}/blobs/{descriptor['digest'].replace(':', '/')}"
        found.add(path)
        if "manifest" in descriptor["mediaType"]:
            body = json.loads(files[path])
            pending += [*body["layers"], body["config"]]
    return found


def kill_often(kills: Callable[[str], Kills], wanted: int) -> int:
    """Kill until so many were hit while they were alive, each time checking; then end what was begun."""
    chance, killed, trees = random.Random(8), 0, 0
    while killed < wanted:
        trees += 1
        trial = kills(f"tree-{trees}")
        before = trial.look()
        for _ in range(6):
            killed += kill_after(trial, chance.random() * chance.choice([0.05, 0.3, 1.0]))
            check_between(trial, before)
        check_end(trial)
    print(f"{killed} killed alive, {trees} trees")
    return killed


def runs_of(trial: Kills) -> list[str]:
    """The runs that left a journal, the last one first."""
    return sorted({path.split("/")[2] for path in trial.look() if path.startswith(RUNS)}, reverse=True)


def test_a_killed_cleanup_leaves_nothing_broken_and_is_ended_by_the_next(kills: Callable[[str], Kills]) -> None:
    assert kill_often(kills, 3) >= 3


def test_what_killed_cleanups_took_comes_back(kills: Callable[[str], Kills]) -> None:
    """Killed while it takes entries out, and while it hides blobs; then all of that is undone."""
    trial = kills("undone")
    trial.cleaning.timing = Timing(grace=0.0, hold=3600.0)
    before = trial.look()
    killed = []
    for step in (Step.INDEX, Step.HIDE):  # what the first run takes out of an index is hidden by the next
        killed.append(kill_at(trial, step))
        check_between(trial, before)
        trial.cleaning.run()
    assert any(killed), "all that was taken was taken by runs that came to their end"
    for run in runs_of(trial):
        trial.cleaning.undo(run)
    after = trial.look()
    assert list(holes(after)) == []
    for layout in layouts(before):
        assert tags(after, layout) == tags(before, layout)
        assert len(entries(after, layout)) == len(entries(before, layout))


@pytest.mark.fuse
def test_a_mount_that_dies_while_it_is_changed_ends_the_run_and_harms_nothing(
    seaweedfs: SeaweedFS, oras_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_environment(seaweedfs, monkeypatch)
    bucket = seaweedfs.create_bucket("kills-of-the-mount")
    with running(S3Fs(tmp_path / "mount", s3=seaweedfs, bucket=bucket)) as mount:
        push_tree(oras_cli, mount.mountpoint, tmp_path)
        cleaning = Cleaning(str(mount.mountpoint), tmp_path, NO_WAITING, KEEP, only_writer=True)
        trial = in_bucket(seaweedfs, bucket, cleaning)
        before = trial.look()
        process = cleaning.start(cleaning.plan())
        wait_until(lambda: begin_of(trial) is not None, what="the run has the lease", deadline_seconds=60)
        mount.kill()
        output = process.communicate(timeout=ENDS_WITHIN)[0]
        assert process.returncode in {1, 2}, output
        assert "Traceback" not in output
        reasons = ("Transport endpoint is not connected", "Software caused connection abort")
        assert any(reason in output for reason in reasons), output
        check_between(trial, before)
        mount.stop()
        mount.start()
        check_end(trial)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_so_it_is_however_often_it_is_killed(kills: Callable[[str], Kills]) -> None:
    assert kill_often(kills, 50) >= 50
