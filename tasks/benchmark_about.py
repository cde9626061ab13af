"""What is said of a benchmark besides its figures: the machine, and how each path was used. No Prefect."""

from __future__ import annotations

import logging
import os
import platform
import socket
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.benchmark_values.facts import About, UsedPath
from tasks.benchmark_values.paths import Origin
from tasks.oci.errors import ProgramMissingError
from tasks.operations.benchmark.visits import most_traffic
from tasks.operations.reports.counts import counted
from tasks.operations.reports.shown_text import human_bytes
from tasks.stores.benchmark.venue import find_parts
from tasks.stores.directory.mounts import hanging_mounts, on_the_way, resolve
from tasks.stores.local_parts.programs import program
from tasks.stores.local_parts.registry import registry_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.benchmark_values.cases import Case
    from tasks.benchmark_values.options import BenchmarkOptions
    from tasks.benchmark_values.paths import PathSpec
    from tasks.stores.benchmark.bench import Bench
    from tasks.stores.benchmark.venue import Venue

logger = logging.getLogger("tasks.benchmark_runs")
LOCALLY = "SeaweedFS on loopback"


def refuse_without_parts(options: BenchmarkOptions) -> None:
    """See that what a benchmark needs is installed here, before anything is started for it.

    Raises:
        ProgramMissingError: a path that was asked for by name can't be measured; or none can, and why not.
    """
    if options.location is None:
        program("weed")
    _refuse_without_paths(options, [_why_not(path, options) for path in options.paths])


def _why_not(path: PathSpec, options: BenchmarkOptions) -> str:
    try:
        if path.origin is Origin.REGISTRY and options.registry is None and options.location is None:
            registry_program()
        find_parts(path, has_registry=options.registry is not None or options.location is None)
    except ProgramMissingError as error:
        return str(error)
    return ""


def _refuse_without_paths(options: BenchmarkOptions, missing: Sequence[str]) -> None:
    for path, why in zip(options.paths, missing, strict=True):
        if why and options.all_needed:
            raise ProgramMissingError(f"{path.name} can't be measured: {why}")
    if all(missing):
        raise ProgramMissingError(f"none of the paths can be measured here: {'; '.join(dict.fromkeys(missing))}")


def usable_paths(options: BenchmarkOptions, venue: Venue) -> tuple[tuple[PathSpec, ...], list[UsedPath]]:
    """The paths that can be measured here, and what is said of all.

    Raises:
        ProgramMissingError: one can't, and was asked for by name; or none can.
    """
    missing = [venue.why_not(path) for path in options.paths]
    _refuse_without_paths(options, missing)
    used = [
        UsedPath(name=path.name, place=own_place(path, options), left_out=why)
        for path, why in zip(options.paths, missing, strict=True)
    ]
    for each in used:
        if each.left_out:
            logger.warning("%s is left out: %s", each.name, each.left_out)
    return tuple(path for path, why in zip(options.paths, missing, strict=True) if not why), used


def own_place(path: PathSpec, options: BenchmarkOptions) -> str:
    """What the user named for this path alone: a mount, a bucket or a registry."""
    if path.origin is not Origin.REGISTRY:
        return path.mounted_at or path.bucket or ""
    return f"http{'' if options.plain_http else 's'}://{options.registry}" if options.registry else ""


def no_mounts(paths: Sequence[PathSpec]) -> Iterator[str]:
    """What is said of a mount of the user's that is none: the figures would be those of a disk."""
    mounts = hanging_mounts()
    for path in paths:
        if path.mounted_at is not None and not on_the_way(mounts, resolve(path.mounted_at, mounts)[0]):
            yield f"{path.name}: nothing is mounted at {path.mounted_at}, so that this machine's own disk is measured"


def traffic_lines(options: BenchmarkOptions, cases: Sequence[Case], paths: Sequence[PathSpec]) -> Iterator[str]:
    """What will be written into a bucket of the user's and read there, which somebody pays for."""
    written, read = most_traffic(cases, paths, options.repeats, counted=not options.uncounted)
    if options.location is not None and written:
        what = f"{counted(len(cases), 'size')} by {counted(len(paths), 'path')}"
        yield (
            f"{what}: {human_bytes(written)} are written to {options.location} and deleted again, and at most about "
            f"{human_bytes(read)} read"
        )


def shown_path(said: UsedPath, bench: Bench, paths: Sequence[PathSpec]) -> UsedPath:
    """A path with its version and its commands as they are run."""
    path = next((each for each in paths if each.name == said.name), None)
    if path is None:
        return said
    return replace(
        said,
        version=bench.venue.version(path),
        mount=path.mounted_at or bench.command_shown(path, path.mount_command),
        unmount=bench.command_shown(path, path.unmount),
        pull=bench.command_shown(path, path.pull),
        options=path.options,
        recipe=path.recipe,
    )


def about_run(
    options: BenchmarkOptions, venue: Venue, run_id: str, used: Sequence[UsedPath], *, drops: bool
) -> About:
    """What there is to know about a run before it begins."""
    cache = "the kernel's caches were dropped" if drops else "the kernel's caches were kept"
    return About(
        run=run_id,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        location=options.location or LOCALLY,
        endpoint=(venue.endpoint or "the SDK's default") if options.location else "a port of its own",
        content=options.content,
        host=socket.gethostname(),
        processors=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.release()}",
        cold=f"mounts of our own were mounted anew, and {cache}",
        repeats=options.repeats,
        load_before=os.getloadavg()[0],
        paths=tuple(used),
        counted=_counted(options, venue),
        pause=options.pause,
    )


def _counted(options: BenchmarkOptions, venue: Venue) -> str:
    if venue.metrics_url is not None:
        return "by the server, while it was measured"
    return "not at all" if options.uncounted else "by a proxy, in pulls of their own"
