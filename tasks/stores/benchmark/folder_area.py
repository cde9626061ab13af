"""The one folder of a mount of the user's own that a benchmark writes to and deletes from; see `bucket_area`."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.oci.errors import RefusedError, SourceUnavailableError
from tasks.stores.benchmark.area_marker import MARKER, is_run_name, refuse_living, run_name
from tasks.stores.state.lock_holder import LockHolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class FolderArea:
    """The area of one run below a mount of the user's own."""

    def __init__(self, mount: Path, run_id: str) -> None:
        self._area = mount / "layoutlift-benchmark"
        self.folder = self._area / run_name(run_id)
        self._marker = self._area / MARKER
        self._holder = LockHolder.here(run_id, str(mount), "")
        self._claimed = False

    def claim(self) -> None:
        """As `BucketArea.claim`, of a folder.

        Raises:
            RefusedError: something else is there.
            LockHeldError: another run is at work there.
            SourceUnavailableError: the mount can't be read or written.
        """
        with self._translated():
            self._claim()

    def release(self) -> None:
        """Remove all that this run put there; harmless when the area was never claimed.

        Raises:
            SourceUnavailableError: something can't be removed; the marker then stays for the next run to find.
        """
        if not self._claimed:
            return
        with self._translated():
            shutil.rmtree(self.folder)
            self._marker.unlink(missing_ok=True)
            self._area.rmdir()
        self._claimed = False

    def empty(self) -> None:
        """Delete the repositories that were pushed, and keep the area.

        Raises:
            SourceUnavailableError: one can't be deleted.
        """
        with self._translated():
            for path in self.folder.iterdir():
                shutil.rmtree(path)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceUnavailableError(f"{self._area} can't be used: {error.strerror}") from error

    def _claim(self) -> None:
        if not self._area.parent.is_dir():
            raise SourceUnavailableError(f"{self._area.parent} is no folder: mount the bucket first")
        self._area.mkdir(exist_ok=True)
        names = {path.name for path in self._area.iterdir()}
        foreign = sorted(n for n in names - {MARKER} if MARKER not in names or not is_run_name(n))
        if foreign:
            raise RefusedError(f"{self._area} holds {foreign[0]!r}, which is not the benchmark's")
        if MARKER in names:
            written = datetime.fromtimestamp(self._marker.stat().st_mtime, UTC)
            refuse_living(self._marker.read_bytes(), written, str(self._area))
        self._marker.write_bytes(self._holder.content())
        self._claimed = True
        for name in names - {MARKER}:
            shutil.rmtree(self._area / name)
        self.folder.mkdir()
