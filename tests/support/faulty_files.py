"""A read-only pass-through file system in user space whose reads fail as a test says, in a process of its own.

Run as `python -m tests.support.faulty_files SOURCE MOUNTPOINT RULES`; the rules are a JSON file that is read at
every operation: `[{"call": "read", "path": "glob", "error": 5, "times": 1}]`. `error` is an errno, or `short` (a
read ends early), `flip` (a bit is turned), `gone` (empty answers from the middle of a file on).
"""

import fnmatch
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.real_parts.mounts import check_fuse, is_mounted, unmount
from infra.real_parts.waiting import wait_until


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

    def __enter__(self) -> "FaultyFiles":
        self.mountpoint.mkdir(parents=True)
        self.fail()
        command = [sys.executable, "-m", "tests.support.faulty_files", self._source, self.mountpoint, self._rules]
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen([*map(str, command)], cwd=root)
        wait_until(lambda: is_mounted(self.mountpoint), what="the file system is mounted")
        return self

    def __exit__(self, *_: object) -> None:
        unmount(self.mountpoint)
        assert self._process is not None
        self._process.wait(15)


class _Passing:
    """The operations; `rules` are looked up in the file at each."""

    use_ns = True

    def __init__(self, source: str, rules: str) -> None:
        self._source = source
        self._rules = Path(rules)
        self._stamp = 0
        self._left: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def _fault(self, call: str, path: str) -> object:
        with self._lock:
            stamp = self._rules.stat().st_mtime_ns
            if stamp != self._stamp:
                self._stamp, self._left = stamp, json.loads(self._rules.read_text())
            for rule in self._left:
                if rule["call"] == call and fnmatch.fnmatch(path, rule["path"]) and rule.get("times", 1) > 0:
                    rule["times"] = rule.get("times", 1) - 1
                    return rule["error"]
        return None


def _operations() -> type:
    import mfusepy  # noqa: PLC0415 - needs libfuse

    class Passing(_Passing, mfusepy.Operations):
        def _raise(self, call: str, path: str) -> object:
            fault = self._fault(call, path)
            if isinstance(fault, int):
                raise mfusepy.FuseOSError(fault)
            return fault

        def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
            fault = self._raise("getattr", path)
            found = os.lstat(self._source + path)
            names = ("st_atime", "st_ctime", "st_mtime")
            times = {name: getattr(found, f"{name}_ns") for name in names}
            fields = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid")
            shown = times | {name: getattr(found, name) for name in fields}
            if fault == "empty" and stat.S_ISREG(found.st_mode):
                shown["st_size"] = 0
            return shown

        def readdir(self, path: str, fh: int) -> Sequence[str]:
            self._raise("readdir", path)
            return [".", "..", *os.listdir(self._source + path)]

        def open(self, path: str, flags: int) -> int:
            self._raise("open", path)
            return os.open(self._source + path, os.O_RDONLY)

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            fault = self._raise("read", path)
            data = os.pread(fh, size, offset)
            if fault == "short":
                return data[: len(data) // 2]
            if fault == "flip":
                return bytes([data[0] ^ 1]) + data[1:]
            return data

        def release(self, path: str, fh: int) -> int:
            os.close(fh)
            return 0

        def readlink(self, path: str) -> str:
            return os.readlink(self._source + path)

        def statfs(self, path: str) -> dict[str, int]:
            return {"f_bsize": 4096, "f_blocks": 1, "f_namemax": 255}

    return Passing


def main(source: str, mountpoint: str, rules: str) -> None:
    """Serve until unmounted; the kernel keeps nothing, so that every read arrives here."""
    import mfusepy  # noqa: PLC0415

    options = {"direct_io": True, "attr_timeout": 0, "entry_timeout": 0, "ro": True}
    mfusepy.FUSE(_operations()(source, rules), mountpoint, foreground=True, nothreads=True, **options)


if __name__ == "__main__":
    main(*sys.argv[1:4])

