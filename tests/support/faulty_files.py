"""A read-only pass-through file system in user space whose reads fail as a test says, in a process of its own.

A rule is `{"call": "read", "path": "glob", "error": 5, "times": 1}`; `error` is an errno, or `short` (a read ends
early), `flip` (a bit is turned), `empty` (a file's size is given as 0).
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from infra.real_parts.waiting import wait_until
from tasks.stores.local_parts.fuse import check_fuse, is_mounted, unmount

PATIENCE_SECONDS = 5.0


class FaultyFiles:
    """Start with `with FaultyFiles(source, folder) as files`, read below `files.mountpoint`."""

    def __init__(self, source: Path, folder: Path) -> None:
        check_fuse()
        self.mountpoint = folder / "faulty"
        self._source = source
        self._rules = folder / "rules.json"
        self._process: subprocess.Popen[bytes] | None = None

    def fail(self, *rules: dict[str, Any]) -> None:
        """From now on, fail like this; each rule counts anew."""
        unfinished = self._rules.with_suffix(".tmp")
        unfinished.write_text(json.dumps(rules))
        unfinished.replace(self._rules)

    def __enter__(self) -> Self:
        self.mountpoint.mkdir(parents=True)
        self.fail()
        command = [
            sys.executable,
            "-m",
            "tests.support.faulty_operations",
            self._source,
            self.mountpoint,
            self._rules,
        ]
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen([*map(str, command)], cwd=root)
        wait_until(lambda: is_mounted(self.mountpoint), what="the file system is mounted")
        return self

    def __exit__(self, *_: object) -> None:
        unmount(self.mountpoint)
        assert self._process is not None
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:  # somebody else on the machine still looks into the folder
            self._process.kill()
            self._process.wait()
