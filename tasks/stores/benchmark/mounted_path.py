"""A path's mount while it is measured: its program in the foreground, and what the kernel knows of it."""

from __future__ import annotations

import logging
import subprocess
from typing import TYPE_CHECKING

from tasks.oci.errors import ProgramFailedError
from tasks.stores.local_parts.fuse import UNMOUNT_SECONDS, check_fuse, is_mounted, unmount
from tasks.stores.local_parts.processes import ProcessUse, reset_peak, use_of
from tasks.stores.local_parts.server import Server
from tasks.stores.local_parts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 900.0
"""How long a program may take to write back what it still has when it is unmounted."""
AFTER_ERROR_SECONDS = 10.0
"""The same where what it was mounted for has failed, as when it hangs: nobody wants that content any more."""


class MountedPath(Server):
    """A file system that is mounted between start and stop; `on_start` is told its process id."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        mount: Sequence[str],
        unmount_by: Sequence[str],
        environment: Mapping[str, str],
        on_start: Callable[[int], None],
    ) -> None:
        super().__init__(folder)
        self.name = name
        self.mountpoint = self.folder / "mount"
        self._mount, self._unmount_by, self._given, self._on_start = mount, unmount_by, environment, on_start
        self._patience = FLUSH_SECONDS

    @property
    def use(self) -> ProcessUse | None:
        """What the program has used so far; None when it has ended, which its corpse in the kernel's list hides."""
        return None if self._is_gone() else use_of(self.pid)

    def reset_peak(self) -> None:
        """Count its most memory anew."""
        reset_peak(self.pid)

    def stop(self) -> None:
        """Unmount, and wait until the program has written everything back and is gone; one that stays is killed.

        Raises:
            ProgramFailedError: it could not be unmounted, or was killed.
        """
        try:
            if is_mounted(self.mountpoint):
                self._unmount_in_order()
                wait_until(self._is_gone, what=f"{self.name} ends", deadline_seconds=self._patience)
        finally:
            super().stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it; after an error without patience, and what stopping meets is a warning beside that error."""
        if kind is None:
            self.stop()
            return
        self._patience = AFTER_ERROR_SECONDS
        try:
            self.stop()
        except ProgramFailedError as problem:
            logger.warning("%s", problem)

    def _unmount_in_order(self) -> None:
        try:
            outcome = subprocess.run(  # noqa: S603 - the path's own command
                list(self._unmount_by), capture_output=True, check=False, timeout=UNMOUNT_SECONDS
            )
            done = outcome.returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            done = False
        if not done:
            unmount(self.mountpoint)

    def _command(self) -> list[str]:
        check_fuse()
        self.mountpoint.mkdir(parents=True, exist_ok=True)
        return list(self._mount)

    def _whole_environment(self) -> dict[str, str]:
        return dict(self._given)

    def _launch(self) -> subprocess.Popen[bytes]:
        try:
            process = super()._launch()
        except OSError as error:
            raise ProgramFailedError(f"{self._mount[0]} can't be started: {error.strerror}") from error
        try:
            self._on_start(process.pid)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def _is_ready(self) -> bool:
        return is_mounted(self.mountpoint)
