"""The options of a run, as far as trials draw them, and what they choose."""

from dataclasses import dataclass

from tasks.choosing_options import ChoosingOptions
from tasks.endpoints import TargetOptions
from tasks.operations.choosing.newest import Newest, NewestBy
from tasks.operations.in_step.vanished import DeletionLimits
from tasks.operations.reports.results import Depth
from tasks.operations.work.planning import CopyPolicy, OnConflict, Untagged
from tasks.run_options import RunOptions
from tests.support.migration_registry import HOST


@dataclass(frozen=True)
class Choice:
    """The options of a run; `include` and `exclude` are among the patterns that `takes` knows."""

    on_conflict: str = "refuse"
    backup: bool = False
    include: str = ""
    exclude: str = ""
    newest: int | None = None
    untagged: str = "none"
    referrers: bool = True
    depth: str = "manifest"
    since_last: bool = False
    limits: DeletionLimits | None = None
    fail_fast: bool = False

    def options(self, source: str) -> RunOptions:
        policy = CopyPolicy(
            untagged=Untagged(self.untagged),
            referrers=self.referrers,
            on_conflict=OnConflict(self.on_conflict),
            backup_tag="old-{tag}" if self.backup else None,
            depth=Depth(self.depth),
            fail_fast=self.fail_fast,
        )
        return RunOptions(
            source,
            TargetOptions(HOST),
            choosing=ChoosingOptions(
                include=(self.include,) if self.include else (),
                exclude=(self.exclude,) if self.exclude else (),
                newest=None if self.newest is None else Newest(self.newest, NewestBy.NAME),
            ),
            policy=policy,
            jobs=1,
            since_last=self.since_last,
            deletion=self.limits,
        )

    def takes_layout(self, path: str) -> bool:
        return _fits_path(self.include, path, otherwise=True) and not (
            ":" not in self.exclude and _fits_path(self.exclude, path, otherwise=False)
        )

    def takes(self, path: str, tag: str) -> bool:
        if not self.takes_layout(path):
            return False
        of_include, of_exclude = self.include.partition(":")[2], self.exclude.partition(":")[2]
        return of_include in {"", tag} and of_exclude != tag

    @property
    def settings(self) -> tuple[object, ...]:
        """What a layout must have been done with to be spared."""
        return self.include, self.exclude, self.newest, self.untagged, self.referrers, self.depth


def _fits_path(pattern: str, path: str, *, otherwise: bool) -> bool:
    repository = pattern.partition(":")[0]
    if not pattern:
        return otherwise
    if repository.endswith("/**"):
        return path.startswith(repository.removesuffix("**"))
    return repository in {"", path}


def order_of(tag: str) -> tuple[str, int]:
    """Its place among tags by name, numbers counting as numbers."""
    name = tag.rstrip("0123456789")
    return name, int(tag[len(name) :] or 0)
