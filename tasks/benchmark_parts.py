"""The parts of a benchmark that its options say most of: the paths, where they are measured, where results go."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.benchmark_about import own_place
from tasks.benchmark_values.facts import UsedPath
from tasks.benchmark_values.paths import Origin
from tasks.oci.errors import ConfigurationError, ProgramMissingError
from tasks.stores.benchmark.result_folder import ResultFolder
from tasks.stores.benchmark.venue import find_parts
from tasks.stores.benchmark.venues import bucket_venue, local_venue
from tasks.stores.local_parts.programs import program
from tasks.stores.local_parts.registry import registry_program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from tasks.benchmark_values.options import BenchmarkOptions
    from tasks.benchmark_values.paths import PathSpec
    from tasks.stores.benchmark.remains import WorkFolder
    from tasks.stores.benchmark.venue import Venue

logger = logging.getLogger(__name__)


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


def result_folder_of(options: BenchmarkOptions, run_id: str) -> ResultFolder:
    """The folder for the results; of a run that goes on with another one, that one's.

    Raises:
        ConfigurationError: nothing says which run that is.
    """
    if options.resume and options.out is None:
        raise ConfigurationError("--resume: name the folder of the interrupted run by --out")
    out = Path(options.out) if options.out else Path("build") / "benchmark" / run_id
    return ResultFolder(out, Path(options.dat_file) if options.dat_file else None)


def venue_of(options: BenchmarkOptions, run_id: str, work: WorkFolder, stack: ExitStack) -> Venue:
    """The bucket that the user names, or servers of our own until `stack` is closed; see `venues`."""
    if options.location is None:
        local = local_venue(
            run_id,
            work,
            registry=options.registry,
            needs_registry=any(path.origin is Origin.REGISTRY for path in options.paths),
            plain_http=options.plain_http,
        )
        return stack.enter_context(local)
    return bucket_venue(
        run_id,
        options.location,
        endpoint_url=options.endpoint_url,
        registry=options.registry,
        plain_http=options.plain_http,
        is_read=any(_reads(path, options) for path in options.paths),
    )


def _reads(path: PathSpec, options: BenchmarkOptions) -> bool:
    """Whether the bucket that the user names is read by a path, where that can be measured here."""
    return path.reads_bucket and path.bucket is None and not _why_not(path, options)
