"""What is said of a benchmark besides its figures: the machine, and how each path was used. No Prefect."""

from __future__ import annotations

import os
import platform
import socket
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.benchmark_values.facts import About, UsedPath
from tasks.benchmark_values.paths import Origin
from tasks.oci.errors import SourceUnavailableError
from tasks.operations.benchmark.visits import most_traffic, registry_traffic
from tasks.operations.reports.counts import counted
from tasks.operations.reports.shown_text import human_bytes
from tasks.stores.directory.mounts import hanging_mounts, on_the_way, resolve
from tasks.stores.registry.transport.proxies import is_this_machine

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tasks.benchmark_values.cases import Case
    from tasks.benchmark_values.options import BenchmarkOptions
    from tasks.benchmark_values.paths import PathSpec
    from tasks.stores.benchmark.bench import Bench
    from tasks.stores.benchmark.venue import Venue

LOCALLY = "SeaweedFS on loopback"


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
            yield _no_mount(path)


def _no_mount(path: PathSpec) -> str:
    line = f"{path.name}: nothing is mounted at {path.mounted_at}, so that this machine's own disk is measured"
    return " ".join(line.split())  # as warnings are kept


def other_than_mounts(paths: Sequence[PathSpec], warnings: Sequence[str]) -> list[str]:
    """The warnings of a run without those of missing mounts.

    A run that measured nothing to its end needs none of these: what is mounted now counts.
    """
    of_mounts = {_no_mount(path) for path in paths}
    return [line for line in warnings if line not in of_mounts]


def refuse_changed_mounts(paths: Sequence[PathSpec], warnings: Collection[str]) -> None:
    """See that figures of a mount and of this machine's own disk do not become one result.

    Raises:
        SourceUnavailableError: a mount of the user's went since these warnings were given, or came.
    """
    none_now = set(no_mounts(paths))
    for path in (each for each in paths if each.mounted_at is not None):
        was_none, is_none = (_no_mount(path) in said for said in (warnings, none_now))
        if was_none != is_none:
            there = "nothing is mounted" if is_none else "there is a mount"
            then = "on this machine's own disk" if was_none else "through a mount"
            raise SourceUnavailableError(
                f"{path.name}: {there} at {path.mounted_at}, where what is kept was measured {then}: "
                f"{'mount' if is_none else 'unmount'} it, or begin anew with another --out"
            )


def not_cold(paths: Sequence[PathSpec], options: BenchmarkOptions, about: About, *, drops: bool) -> Iterator[str]:
    """What is said of paths whose cold pulls are called so, and for which nothing empties a cache."""
    for path in paths:
        if path.mounted_at is not None:
            yield (
                f"{path.name}: its cold pulls may be warm: your mount stays, with what it has cached; "
                "and its pushes end with oras, whatever it has still to upload"
            )
    alike = [path for path in paths if not path.is_mount]
    if drops:
        alike = [path for path in alike if _is_elsewhere(path, options, about)]
    if alike:
        why = "only this machine's caches are dropped" if drops else "the kernel's caches are kept"
        names = ", ".join(path.name for path in alike)
        yield f"{names}: nothing makes a cold pull colder than a warm one: {why}"


def _is_elsewhere(path: PathSpec, options: BenchmarkOptions, about: About) -> bool:
    """Whether another machine serves what a path reads; it has that in its memory since the push."""
    if path.origin is Origin.REGISTRY:
        return options.registry is not None and not _is_here(f"//{options.registry}")
    return path.reads_bucket and options.location is not None and not _is_here(about.endpoint)


def _is_here(url: str) -> bool:
    return is_this_machine(urlsplit(url).hostname or "")


def traffic_lines(options: BenchmarkOptions, cases: Sequence[Case], paths: Sequence[PathSpec]) -> Iterator[str]:
    """What will be written into a bucket and a registry of the user's and read there, which somebody pays for."""
    written, read = most_traffic(cases, paths, options.repeats, counted=not options.uncounted)
    if options.location is not None and written:
        what = f"{counted(len(cases), 'size')} by {counted(len(paths), 'path')}"
        yield (
            f"{what}: {human_bytes(written)} are written to {options.location} and deleted again, and at most about "
            f"{human_bytes(read)} read"
        )
    written, read = registry_traffic(cases, paths, options.repeats)
    if options.registry is not None and written:
        yield (
            f"{counted(len(cases), 'size')}: {human_bytes(written)} are written to {options.registry} and, where it "
            f"allows that, deleted again, and about {human_bytes(read)} read"
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
        programs=venue.program_versions(),
    )


def _counted(options: BenchmarkOptions, venue: Venue) -> str:
    if venue.metrics_url is not None:
        return "by the server, while it was measured"
    return "not at all" if options.uncounted else "by a proxy, in pulls of their own"
