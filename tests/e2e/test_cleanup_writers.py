"""Writers at work while cleanups go on: nothing that a later index names is ever gone.

The real ORAS command pushes through a real s3fs, from several processes, while the bucket is cleaned up natively.
"""

import random
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import S3Fs, SeaweedFS
from tasks.operations.cleanup.values import Timing
from tests.support.buckets import use_environment
from tests.support.cleanup_trials import Cleaning, files_in_bucket, holes, layouts
from tests.support.real_parts import Cli, running

pytestmark = pytest.mark.fuse

WRITERS = 3
INCOMPLETE_OR_NOT = (0, 1)
"""A layout whose index a writer is about to fill is left alone and named, which is exit code 1."""
IMPATIENT = Timing(grace=1.0, hold=600.0)
"""Blobs are hidden after a second, which is sooner than a push takes: what is needed has to come back."""


def push_often(oras: Cli, mount: Path, work: Path, writer: int, pushes: int) -> int:
    """Push images that share layers under tags that move; how many the command said it pushed.

    Two writers of one layout lose entries of each other, and may meet half an index: that is what the ORAS command
    does, with or without cleanups. Each writer has a layout of its own.
    """
    chance, done = random.Random(writer), 0
    layers = [work / f"layer-{writer}-{number}" for number in range(4)]
    for number, layer in enumerate(layers):
        layer.write_bytes(b"layer %d of writer %d" % (number, writer) * 200)
    for _ in range(pushes):
        chosen = chance.sample(layers, chance.randint(1, 2))
        target = f"{mount}/team/app-{writer}:v{chance.randint(0, 5)}"
        arguments = [f"{layer.name}:application/vnd.example.layer" for layer in chosen]
        outcome = oras.run("push", "--oci-layout", "--disable-path-validation", target, *arguments, cwd=work)
        done += outcome.returncode == 0
    return done


def clean_until(cleaning: Cleaning, ended: threading.Event) -> int:
    """Plan and apply over and over; how often."""
    runs = 0
    while not ended.is_set():
        cleaning.run(INCOMPLETE_OR_NOT)
        runs += 1
    return runs


def trial(mount: S3Fs, oras: Cli, work: Path, pushes: int) -> tuple[int, int, Mapping[str, Any]]:
    ended = threading.Event()
    cleaning = Cleaning(f"s3://{mount.bucket}", work, IMPATIENT, keep_last=1)
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        cleaner = pool.submit(clean_until, cleaning, ended)
        writers = [pool.submit(push_often, oras, mount.mountpoint, work, number, pushes) for number in range(WRITERS)]
        try:
            pushed = sum(writer.result() for writer in writers)
        finally:
            ended.set()
        runs = cleaner.result()
    cleaning.run(INCOMPLETE_OR_NOT)  # the next apply after the last writer, which brings back what it counted on
    return pushed, runs, files_in_bucket(mount.s3.client(), mount.bucket)


@pytest.mark.parametrize("pushes", [4, pytest.param(100, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_what_an_index_names_is_there_after_the_next_cleanup(
    seaweedfs: SeaweedFS, oras_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pushes: int
) -> None:
    use_environment(seaweedfs, monkeypatch)
    own = S3Fs(tmp_path / "s3fs", s3=seaweedfs, bucket=seaweedfs.create_bucket(f"cleanup-writers-{pushes}"))
    with running(own) as mount:
        pushed, runs, files = trial(mount, oras_cli, tmp_path, pushes)
    assert pushed == WRITERS * pushes
    assert runs > 0
    assert len(layouts(files)) == WRITERS
    assert list(holes(files)) == []
