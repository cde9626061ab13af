"""A cleanup killed at any moment leaves nothing broken, and the next one ends its work."""

import json
import random
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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

if TYPE_CHECKING:
    from infra.real_parts import SeaweedFS

NO_WAITING = Timing(grace=0.0, hold=0.0)
KEEP = 2
REPOSITORIES, TAGS = 6, 5


@dataclass
class Kills:
    """A source, and how to see all of it."""

    cleaning: Cleaning
    look: Callable[[], Mapping[str, bytes]]
    read: Callable[[str], bytes | None]


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


@pytest.fixture(params=["directory", pytest.param("bucket", marks=pytest.mark.soak)])
def kills(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Kills]:
    def start(name: str) -> Kills:
        root, work = tmp_path / name, tmp_path / f"work-{name}"
        work.mkdir()
        write_tree(root)
        if request.param == "directory":
            cleaning = Cleaning(str(root), work, NO_WAITING, KEEP, only_writer=True)
            return Kills(
                cleaning,
                lambda: files_in_directory(root),
                lambda path: (root / path).read_bytes() if (root / path).exists() else None,
            )
        s3: SeaweedFS = request.getfixturevalue("seaweedfs")
        use_environment(s3, monkeypatch)
        bucket = s3.create_bucket(f"kills-{name}")
        upload(s3, root, bucket)
        client = s3.client()

        def read(key: str) -> bytes | None:
            try:
                return client.get_object(Bucket=bucket, Key=key)["Body"].read()
            except client.exceptions.NoSuchKey:
                return None

        cleaning = Cleaning(f"s3://{bucket}", work, NO_WAITING, KEEP)
        return Kills(cleaning, lambda: files_in_bucket(client, bucket), read)

    return start


def kill_after(trial: Kills, seconds: float) -> bool:
    """Apply a fresh plan, and kill the process so long after it took the lease; False when it was quicker."""
    process = trial.cleaning.start(trial.cleaning.plan())
    began, wait = begin_of(trial), threading.Event()
    while process.poll() is None and begin_of(trial) == began:
        wait.wait(0.002)
    wait.wait(seconds)
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


def kill_often(kills: Callable[[str], Kills], wanted: int) -> None:
    chance, killed, trees = random.Random(8), 0, 0
    while killed < wanted:
        trees += 1
        trial = kills(f"tree-{trees}")
        before = trial.look()
        for _ in range(6):
            killed += kill_after(trial, chance.random() * chance.choice([0.05, 0.3, 1.0]))
            check_between(trial, before)
        check_end(trial)


def test_a_killed_cleanup_leaves_nothing_broken_and_is_ended_by_the_next(kills: Callable[[str], Kills]) -> None:
    kill_often(kills, 5)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_so_it_is_however_often_it_is_killed(kills: Callable[[str], Kills]) -> None:
    kill_often(kills, 30)
