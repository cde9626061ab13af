"""A target that loses manifests with their tags, for tests of what is kept all the same."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.memory_stores import MemoryTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.ports import RemoteManifest
    from tasks.registry_ports import Deletion


class ForgettingTarget(MemoryTarget):
    """Lets a manifest go with its last tag, whatever has it for a part, when that is moved or deleted.

    A zot does so when it is moved; until the autumn of 2024 it did when it was deleted, too.
    """

    def push_tag(self, repository: str, tag: str, manifest: RemoteManifest, may_write: Callable[[], bool]) -> bool:
        """See `MemoryTarget.push_tag`."""
        with self._letting_go(repository, tag):
            return super().push_tag(repository, tag, manifest, may_write)

    def delete_manifest(self, repository: str, reference: str) -> Deletion:
        """See `MemoryTarget.delete_manifest`."""
        with self._letting_go(repository, reference):
            return super().delete_manifest(repository, reference)

    @contextmanager
    def _letting_go(self, repository: str, tag: str) -> Iterator[None]:
        stored = self._asked(repository)
        before = stored.tags.get(tag)
        yield
        if before is not None and before not in stored.tags.values():
            stored.manifests.pop(before, None)
