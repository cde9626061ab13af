"""The same bucket migrated natively and through s3fs, by turns (`python -m tests.benchmarks.native_source`).

Each run has a registry, a mount and a state of its own, so that none finds what another left. The figures of one
invocation compare with each other; on a busy machine the ratio says more than the seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from infra.real_parts import DebianRegistry, S3Fs, SeaweedFS
from tests.benchmarks.targets import tags_in
from tests.benchmarks.workloads import WORKLOADS, Workload, cache_folder, ready
from tests.support.buckets import upload

BUCKET = "benchmark"
TIMEOUT_SECONDS = 3600
LAUNCHER = Path(__file__).parent / "launcher.py"
COMMAND = Path(sys.executable).parent / "layoutlift"


@dataclass(frozen=True)
class Cost:
    """Seconds of one migration, and of the command's own processor time."""

    wall: float
    cpu: float


@contextmanager
def _natively(_: Path, _s3: SeaweedFS) -> Iterator[str]:
    yield f"s3://{BUCKET}"


@contextmanager
def _through_s3fs(folder: Path, s3: SeaweedFS) -> Iterator[str]:
    with S3Fs(folder / "s3fs", s3=s3, bucket=BUCKET, read_only=True) as mount:
        yield str(mount.mountpoint)


WAYS = {"native": _natively, "s3fs": _through_s3fs}


def migrate_once(way: str, workload: Workload, s3: SeaweedFS) -> Cost:
    """Migrate the bucket to a fresh registry; a tag that did not arrive ends the benchmark."""
    with (
        tempfile.TemporaryDirectory(dir=cache_folder(), prefix="native-") as name,
        DebianRegistry(Path(name) / "registry") as registry,
        WAYS[way](Path(name), s3) as source,
    ):
        result = Path(name) / "result.json"
        command = [
            COMMAND,
            "migrate",
            source,
            registry.host,
            "--plain-http",
            "--standalone",
            "--state",
            f"{name}/state",
        ]
        subprocess.run(
            [sys.executable, "-I", "-S", LAUNCHER, result, str(TIMEOUT_SECONDS), *command],
            env={**os.environ, **s3.environment()},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        arrived = tags_in(registry, workload)
        if arrived != workload.tag_count:
            raise SystemExit(f"{way}: {arrived} of {workload.tag_count} tags arrived")
        spent = json.loads(result.read_bytes())
    return Cost(spent["wall"], spent["user"] + spent["system"])


def main(arguments: list[str]) -> int:
    """Measure by turns, the order reversed from round to round, and print medians and ratio."""
    options = _parse(arguments)
    workload = WORKLOADS[options.workload]
    tree = ready(workload)
    costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
    with (
        tempfile.TemporaryDirectory(dir=cache_folder(), prefix="native-") as folder,
        SeaweedFS(Path(folder) / "seaweedfs") as s3,
    ):
        s3.create_bucket(BUCKET)
        upload(s3, tree, BUCKET)
        for number in range(options.rounds):
            for way in list(WAYS) if number % 2 == 0 else reversed(WAYS):
                costs[way].append(migrate_once(way, workload, s3))
                print(f"round {number + 1}, {way}: {costs[way][-1].wall:.1f} s", flush=True)
    _print(workload, costs)
    return 0


def _print(workload: Workload, costs: dict[str, list[Cost]]) -> None:
    def medians(of: Callable[[Cost], float]) -> dict[str, float]:
        return {way: median(map(of, made)) for way, made in costs.items()}

    wall, cpu = medians(lambda cost: cost.wall), medians(lambda cost: cost.cpu)
    for way in costs:
        print(f"{workload.name}, {way}: {wall[way]:.1f} s, {cpu[way]:.1f} s of processor time (medians)")
    print(f"native takes {wall['native'] / wall['s3fs']:.2f} of the time that s3fs takes")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.native_source", description=__doc__)
    parser.add_argument("--workload", choices=WORKLOADS, default="small")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
