"""Pushes and pulls through the paths of a run and sees what each cost. What comes back is always hashed."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from tasks.benchmark_values.facts import Cost, Phase
from tasks.benchmark_values.paths import ORAS_COPY, ORAS_PUSH, Arrives, Origin, Visit, fill
from tasks.oci.errors import ProgramFailedError, StateError
from tasks.stop import Stop
from tasks.stores.benchmark import page_cache
from tasks.stores.benchmark.contents import check_arrived, write_content
from tasks.stores.benchmark.counting_proxy import CountingProxy
from tasks.stores.benchmark.free_space import is_full
from tasks.stores.benchmark.mounted_path import MountedPath
from tasks.stores.benchmark.registry_area import remove_from_registry
from tasks.stores.benchmark.request_counts import LIST
from tasks.stores.benchmark.timed_command import TimedCommand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tasks.benchmark_values.cases import Case
    from tasks.benchmark_values.options import ContentKind
    from tasks.benchmark_values.paths import Command, PathSpec
    from tasks.stores.benchmark.remains import WorkFolder
    from tasks.stores.benchmark.timed_command import CommandTime
    from tasks.stores.benchmark.venue import Venue
    from tasks.stores.local_parts.processes import ProcessUse

REPOSITORY = "junk"
"""The repository's name in the article."""
UPLOADED = "uploaded"


@dataclass
class Bench:
    """Does the pushes and pulls of a run, one at a time."""

    venue: Venue
    work: WorkFolder
    stop: Stop
    pause: float
    drop_caches: bool
    _digests: dict[str, str] = field(default_factory=dict)
    _ready: set[str] = field(default_factory=set)
    _is_in_registry: bool = False
    """Whether a copy of the case into the registry was begun: one that did not end has left blobs there."""

    def begin(self, case: Case, kind: ContentKind) -> None:
        """Write the content of a case, in place of the last one's.

        Raises:
            StateError: it can't be written; the disk may be full.
        """
        folder = self.work.folder("content")
        folder.rmdir()
        self._digests = write_content(case, folder, kind, self.stop)
        self._ready.clear()
        self._is_in_registry = False
        self.work.folder("layouts")

    def push(self, path: PathSpec, case: Case) -> Cost | None:
        """Bring the case to where the path reads it; what that cost, where it was pushed through a mount.

        What is counted of a push through a mount lasts until the bucket has it all: some upload only after a while.

        Raises:
            LayoutliftError: it could not be pushed.
        """
        if path.origin is Origin.PUSHED:
            return self._push_through(path, case)
        if Origin.DIRECTORY not in self._ready:
            self._oras_push(path, str(self._directory), case)
            self._ready.add(Origin.DIRECTORY)
        place = f"{path.origin} {path.bucket}"
        if place not in self._ready:
            self._bring(path, case)
            self._ready.add(place)
        return None

    def visit(self, visit: Visit) -> Iterator[tuple[Phase, Cost]]:
        """Pull cold, and after a pause warm, through one mount.

        Raises:
            LayoutliftError: a pull failed, or what it brought is not what was pushed.
        """
        with self._mounted(visit.path) as mount:
            if self.drop_caches:
                page_cache.drop()
                self._warm_up(visit.path)
            yield Phase.COLD, self._pull(visit.path, visit.case, mount)
            self.stop.wait(self.pause)
            yield Phase.WARM, self._pull(visit.path, visit.case, mount)

    def count(self, path: PathSpec, case: Case) -> dict[Phase, Cost]:
        """Pull cold and warm through a proxy that counts requests; only the counts of what it returns mean anything.

        Raises:
            LayoutliftError: a pull failed, or what it brought is not what was pushed.
        """
        area = self.venue.area(path)
        with CountingProxy(self.venue.client, area.bucket, area.prefix) as proxy:
            through = replace(self, venue=self.venue.through(proxy), pause=0.0, drop_caches=False)
            return dict(through.visit(Visit(path, case, 1)))

    def leave_registry(self, case: Case) -> list[str]:
        """Delete what a case put into a registry of the user's; what that did not allow, a line each."""
        if not (self.venue.has_others_registry and self._is_in_registry):
            return []
        return remove_from_registry(self._directory, case.label, str(self.venue.registry), self.run_oras)

    def end(self, paths: Sequence[PathSpec]) -> None:
        """Delete the test repositories of a case everywhere."""
        for path in paths:
            if path.reads_bucket:
                self.venue.area(path).clear(self._prefix(path))
        for folder in self.venue.folders.values():
            folder.empty()
        if self.venue.local_s3 is not None:
            self.venue.local_s3.reclaim()

    def command_shown(self, path: PathSpec, what: Sequence[str]) -> str:
        """A command of a path for the result, with what differs from visit to visit left as it is in the template."""
        names = ("mountpoint", "layout", "tag", "out", "cache", "directory")
        shown = {**self._values(path), **{name: f"{{{name}}}" for name in names}}
        return shlex.join(self.venue.filled(tuple(what), shown)) if what else ""

    @property
    def _directory(self) -> Path:
        return self.work.path / "layouts" / REPOSITORY

    def _push_through(self, path: PathSpec, case: Case) -> Cost:
        if path.mounted_at is not None:
            return self._oras_push(path, self._layout(path, None), case)
        area, prefix = self.venue.area(path), f"{self._prefix(path)}/{REPOSITORY}"
        area.prepare(path.name)
        until = partial(area.wait_until_complete, prefix, case, path.name, self.stop)
        with self._mounted(path) as mount:
            return self._oras_push(path, self._layout(path, mount), case, mount, until)

    def _oras_push(
        self,
        path: PathSpec,
        layout: str,
        case: Case,
        mount: MountedPath | None = None,
        until: Callable[[], int] | None = None,
    ) -> Cost:
        command = self.venue.command(ORAS_PUSH, {"layout": layout, "tag": case.label})
        return self._timed(path, case, [*command, *self._digests], self.work.path / "content", mount, until=until)

    def _bring(self, path: PathSpec, case: Case) -> None:
        if path.origin is Origin.UPLOADED:
            self.venue.area(path).prepare(UPLOADED)
            self.venue.area(path).upload(self._directory, f"{self._prefix(path)}/{REPOSITORY}", self.stop)
        elif path.origin is Origin.REGISTRY:
            to = (*ORAS_COPY, "{layout}:{tag}", "{to_plain_http}", "{registry}:{tag}")
            plain = "--to-plain-http" if self.venue.plain_http else None
            values = {"layout": str(self._directory), "tag": case.label, "to_plain_http": plain}
            self._is_in_registry = True
            self._timed(path, case, self.venue.command(to, values), self.work.path, None)

    def _pull(self, path: PathSpec, case: Case, mount: MountedPath | None) -> Cost:
        out = self.work.folder("out")
        values = {**self._values(path), "layout": self._layout(path, mount), "tag": case.label, "out": str(out)}
        cost = self._timed(path, case, self.venue.command(path.pull, values), self.work.path, mount, out=out)
        as_blobs = {digest: digest for digest in self._digests.values()}
        check_arrived(out, as_blobs if path.arrives is Arrives.BLOBS else self._digests)
        self.work.folder("out")
        return cost

    def _timed(
        self,
        path: PathSpec,
        case: Case,
        command: list[str],
        folder: Path,
        mount: MountedPath | None,
        *,
        out: Path | None = None,
        until: Callable[[], int] | None = None,
    ) -> Cost:
        """Run a command; what it cost, what the mount and the service did for it besides.

        All but the command's own processor time lasts `until` that returns: how many lists it asked the service for.
        """
        environment, log = self.venue.environment_of(path), self.work.path / "command.log"
        timed = TimedCommand(command, folder=folder, environment=environment, log=log, patience=case.patience_seconds)
        counter = self.venue.counts(path)
        if mount is not None:
            mount.reset_peak()
        counted, used, started = counter.now() if counter else None, mount.use if mount else None, time.monotonic()
        timing = self._run(timed, path, mount, out)
        asked = until() if until else 0
        wall = time.monotonic() - started if until else timing.wall
        cost = Cost(wall=wall, user=timing.user, system=timing.system, first_byte=timing.first_byte)
        if mount is not None:
            cost = _with_mount(cost, path, mount, used)
        if counter and counted:
            since = counter.now().since(counted)
            requests = since.requests - Counter({LIST: asked})
            cost = replace(cost, s3_requests=dict(requests), s3_sent=since.sent)
        return cost

    def _run(self, timed: TimedCommand, path: PathSpec, mount: MountedPath | None, out: Path | None) -> CommandTime:
        """Run a command to its end, and say of one that fails what it failed over: the disk, or its mount."""
        try:
            return timed.run(self.stop, out=out, waits=path.waits and out is not None)
        except ProgramFailedError as error:
            if is_full(self.work.path):
                raise StateError(f"the disk of {self.work.path} is full: {error}") from error
            if mount is not None and mount.use is None:
                raise _ended(path, mount) from error
            raise

    @contextmanager
    def _mounted(self, path: PathSpec) -> Iterator[MountedPath | None]:
        """The path's mount, where it is one of ours; its folder with all caches goes at the end."""
        if not path.mount:
            yield None
            return
        folder = self.work.folder("mounted")
        cache = self.work.folder("mounted/cache")
        values = {**self._values(path), "mountpoint": str(folder / "mount"), "cache": str(cache)}
        mount = MountedPath(
            folder,
            name=path.name,
            mount=self.venue.command(path.mount_command, values),
            unmount_by=fill(path.unmount, values),
            environment=self.venue.environment_of(path),
            on_start=self.work.note_started,
        )
        with mount:
            yield mount

    def _layout(self, path: PathSpec, mount: MountedPath | None) -> str:
        if path.mounted_at is not None:
            return str(self.venue.folders[path.mounted_at].folder / REPOSITORY)
        return str(mount.mountpoint / REPOSITORY) if mount else str(self._directory)

    def _prefix(self, path: PathSpec) -> str:
        return f"{self.venue.area(path).prefix}/{path.name if path.origin is Origin.PUSHED else UPLOADED}"

    def _values(self, path: PathSpec) -> dict[str, str | None]:
        values: dict[str, str | None] = {"directory": str(self._directory.parent)}
        if path.reads_bucket:
            values |= {"bucket": self.venue.area(path).bucket, "prefix": self._prefix(path)}
        return values

    def run_oras(self, command: Command, values: dict[str, str | None]) -> None:
        """Run a small command to its end, also when the run was told to stop, but not for long."""
        line, place = self.venue.command(command, values), self.work.path
        timed = TimedCommand(line, folder=place, environment=self.venue.whole_environment, log=place / "command.log")
        timed.run(Stop())

    def _warm_up(self, path: PathSpec) -> None:
        if not path.warm_up:
            return
        command = self.venue.command(path.warm_up, self._values(path))
        try:
            self.venue.run(path, command)
        except OSError as error:
            raise ProgramFailedError(f"{command[0]} can't be started: {error.strerror}") from error


def _with_mount(cost: Cost, path: PathSpec, mount: MountedPath, before: ProcessUse | None) -> Cost:
    """A command's cost with what its mount's program has used since.

    Raises:
        ProgramFailedError: the program of the mount has ended.
    """
    after = mount.use
    if after is None:
        raise _ended(path, mount)
    return replace(
        cost,
        fuse_user=after.user - before.user if before else None,
        fuse_system=after.system - before.system if before else None,
        fuse_peak=after.peak,
    )


def _ended(path: PathSpec, mount: MountedPath) -> ProgramFailedError:
    return ProgramFailedError(f"{path.name} ended while it was used: {mount.log_tail() or 'it said nothing'}")
