"""The repositories that a run is at work on: each opened once, by who comes first, and freed after its last slice."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasks.operations.running.batches import Slice
    from tasks.operations.work.repository_work import RepositoryWork, Unit


@dataclass(slots=True)
class OpenRepository:
    """A repository in work, shared by the slices that are under way."""

    work: RepositoryWork
    units: tuple[Unit, ...]


class OpenRepositories:
    """Safe to share by all workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._open: dict[str, OpenRepository] = {}
        self._slices_left = Counter[str]()

    def expect(self, slices: Iterable[Slice]) -> None:
        """Take note of all slices that there will be."""
        self._slices_left = Counter(part.path for part in slices)

    def open(self, path: str, open_it: Callable[[], OpenRepository]) -> OpenRepository:
        """The repository at a path, which `open_it` opens; who asks while another one does that waits for it.

        Raises:
            LayoutliftError: it can't be opened; whoever asks next tries again.
        """
        with self._lock:
            opening = self._opening.setdefault(path, threading.Lock())
        with opening:
            if path not in self._open:
                self._open[path] = open_it()
            return self._open[path]

    def find(self, path: str) -> OpenRepository | None:
        """The repository, if it is open."""
        return self._open.get(path)

    def is_done(self, path: str) -> bool:
        """Count a slice as done; whether it was the last one of its repository."""
        with self._lock:
            self._slices_left[path] -= 1
            return self._slices_left[path] <= 0

    def take_all(self) -> list[OpenRepository]:
        """All repositories that are open, which they are not any more."""
        return [found for path in list(self._open) if (found := self.take(path)) is not None]

    def take(self, path: str) -> OpenRepository | None:
        """The repository, if it is open, which it is not any more."""
        return self._open.pop(path, None)
