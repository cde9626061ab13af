"""What the demo leaves running: written down at its start, ended by `make demo-stop`."""

import json
import os
import shutil
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.real_parts import Mount, Server, wait_until
from tasks.oci.errors import ProgramFailedError
from tasks.stores.local_parts.fuse import is_mounted, unmount
from tasks.stores.local_parts.processes import start_time

RECORD = "running.json"
END_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process by its id and its start: an id alone may belong to another program by now."""

    name: str
    pid: int
    started: str
    stop_signal: int
    leftovers: list[str]
    mountpoint: str | None

    @classmethod
    def of(cls, part: Server) -> "Running":
        """Note a part that has just started."""
        return cls(
            name=part.name,
            pid=part.pid,
            started=str(start_time(part.pid) or ""),
            stop_signal=part.stop_signal,
            leftovers=[str(path) for path in part.leftovers],
            mountpoint=str(part.mountpoint) if isinstance(part, Mount) else None,
        )

    def is_alive(self) -> bool:
        """Say whether this very process still runs."""
        started = start_time(self.pid)
        return started is not None and str(started) == self.started

    def end(self) -> None:
        """Unmount, or ask the process to end and insist after a while; remove what it leaves behind."""
        if self.mountpoint is not None and is_mounted(Path(self.mountpoint)):
            unmount(Path(self.mountpoint))
        if not (self._ends_by(self.stop_signal) or self._ends_by(signal.SIGKILL)):
            raise ProgramFailedError(f"{self.name}, process {self.pid}, cannot be ended")
        for leftover in self.leftovers:
            Path(leftover).unlink(missing_ok=True)

    def _ends_by(self, how: int) -> bool:
        if self.is_alive():
            os.kill(self.pid, how)
        try:
            wait_until(lambda: not self.is_alive(), what=f"{self.name} ends", deadline_seconds=END_SECONDS)
        except ProgramFailedError:
            return False
        return True


class LeftRunning:
    """The record in the demo's state folder; the folder is the demo's own as soon as the record is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / RECORD
        self.parts: list[Running] = []

    def begin(self) -> None:
        """Take a folder that is new or empty for the demo."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if any(self.folder.iterdir()):
            raise SystemExit(f"demo: {self.folder} holds something that is not the demo's; choose DEMO_STATE=…")
        self.parts = []
        self._save()

    def add(self, part: Server) -> None:
        """Note a started part at once, so that a demo that fails later can still be cleared away."""
        self.parts.append(Running.of(part))
        self._save()

    def exists(self) -> bool:
        """Say whether an earlier demo left its record."""
        return self.path.exists()

    def is_alive(self) -> bool:
        """Say whether all parts of the earlier call still run; one that came to nothing left none."""
        parts = self._earlier()
        return bool(parts) and all(part.is_alive() for part in parts)

    @property
    def pids(self) -> list[int]:
        """The processes of the earlier call that still run."""
        return [part.pid for part in self._earlier() if part.is_alive()]

    def clear_away(self) -> None:
        """End the parts of the earlier demo, the latest first, and remove its folder."""
        self.parts = self._earlier()
        for part in reversed(self.parts):
            part.end()
        shutil.rmtree(self.folder)

    def _earlier(self) -> list[Running]:
        return [Running(**part) for part in json.loads(self.path.read_text())]

    def _save(self) -> None:
        fresh = self.path.with_suffix(".json.new")
        fresh.write_text(json.dumps([asdict(part) for part in self.parts], indent=2))
        fresh.replace(self.path)  # whole, also after a power loss: who can't read it can neither go on nor end it
