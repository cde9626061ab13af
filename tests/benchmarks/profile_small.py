"""Where layoutlift's own processor time goes when it copies the small tree (`make bench-profile`).

Every thread is profiled by its own processor time, so that waiting for the registry counts as nothing. The profile
makes calls dearer than they are: compare runs with each other, and take the cost as a whole from the benchmark.
"""

import argparse
import cProfile
import pstats
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

from click.testing import CliRunner

from flows.cli import main as layoutlift
from tests.benchmarks.targets import REGISTRIES
from tests.benchmarks.workloads import WORKLOADS, cache_folder, read_once, ready

SHOWN = 40


class EveryThread:
    """Profiles the threads that begin while it is active, and the one that activates it."""

    def __init__(self) -> None:
        self.profiles: list[cProfile.Profile] = []

    def __enter__(self) -> Self:
        threading.setprofile(self._begin)  # called in each new thread, until that has a profile of its own
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        threading.setprofile(None)
        for profile in self.profiles:
            profile.disable()

    def _begin(self, *_: object) -> None:
        profile = cProfile.Profile(time.thread_time)
        self.profiles.append(profile)
        profile.enable()

    def statistics(self) -> pstats.Stats:
        """All threads added up."""
        first, *others = self.profiles
        total = pstats.Stats(first)
        for profile in others:
            profile.create_stats()
            if profile.stats:
                total.add(profile)
        return total


def main(arguments: list[str]) -> int:
    """Copy once under the profile and print what took longest."""
    options = _parse(arguments)
    workload = WORKLOADS[options.workload]
    source = ready(workload)
    read_once(source)
    with (
        tempfile.TemporaryDirectory(dir=cache_folder(), prefix="profile-") as folder,
        REGISTRIES[options.registry](Path(folder) / "registry") as registry,
    ):
        began = time.process_time()
        command = [
            "migrate",
            str(source),
            registry.host,
            "--plain-http",
            "--standalone",
            "--state",
            f"{folder}/state",
        ]
        with EveryThread() as profiled:
            outcome = CliRunner().invoke(layoutlift, command)
        spent = time.process_time() - began
    print(outcome.output)
    print(f"{1000 * spent / workload.tag_count:.2f} ms of processor time a tag under the profile")
    statistics = profiled.statistics()
    if options.output:
        statistics.dump_stats(options.output)
    statistics.sort_stats(options.sort).print_stats(SHOWN)
    return outcome.exit_code


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.profile_small", description=__doc__)
    parser.add_argument("--registry", choices=REGISTRIES, default="distribution 3")
    parser.add_argument("--workload", choices=WORKLOADS, default="small")
    parser.add_argument("--sort", choices=("tottime", "cumulative"), default="tottime")
    parser.add_argument("--output", help="keep the profile in this file, for other viewers")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
