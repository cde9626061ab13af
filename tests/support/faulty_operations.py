"""The operations of `faulty_files`, run as `python -m tests.support.faulty_operations SOURCE MOUNTPOINT RULES`."""

import fnmatch
import json
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mfusepy

TIMES = ("st_atime", "st_ctime", "st_mtime")
FIELDS = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid")


class Faulty(mfusepy.Operations):
    """Passes everything on; the rules are looked up in their file at each operation."""

    use_ns = True

    def __init__(self, source: str, rules: str) -> None:
        self._source = source
        self._rules = Path(rules)
        self._stamp = 0
        self._left: list[dict[str, Any]] = []

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        fault = self._fault("getattr", path)
        found = os.lstat(self._source + path)
        shown = {name: getattr(found, f"{name}_ns") for name in TIMES}
        shown |= {name: getattr(found, name) for name in FIELDS}
        if fault == "empty" and stat.S_ISREG(found.st_mode):
            shown["st_size"] = 0
        return shown

    def readdir(self, path: str, fh: int) -> Sequence[str]:
        self._fault("readdir", path)
        return [".", "..", *(child.name for child in Path(self._source + path).iterdir())]

    def open(self, path: str, flags: int) -> int:
        self._fault("open", path)
        return os.open(self._source + path, os.O_RDONLY)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        fault = self._fault("read", path)
        data = os.pread(fh, size, offset)
        if fault == "short":
            return data[: len(data) // 2]
        if fault == "flip" and data:
            return bytes([data[0] ^ 1]) + data[1:]
        return data

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0

    def readlink(self, path: str) -> str:
        return str(Path(self._source + path).readlink())

    def statfs(self, path: str) -> dict[str, int]:
        return {"f_bsize": 4096, "f_blocks": 1, "f_namemax": 255}

    def _fault(self, call: str, path: str) -> object:
        """The fault for an operation, raised where it is an error."""
        stamp = self._rules.stat().st_mtime_ns
        if stamp != self._stamp:
            self._stamp, self._left = stamp, json.loads(self._rules.read_text())
        for rule in self._left:
            if rule["call"] == call and fnmatch.fnmatch(path, rule["path"]) and rule.setdefault("times", 1) > 0:
                rule["times"] -= 1
                if isinstance(rule["error"], int):
                    raise mfusepy.FuseOSError(rule["error"])
                return rule["error"]
        return None


def main(source: str, mountpoint: str, rules: str) -> None:
    """Serve until unmounted; the kernel keeps nothing, so that every read arrives here."""
    options = {"direct_io": True, "attr_timeout": 0, "entry_timeout": 0, "ro": True}
    mfusepy.FUSE(Faulty(source, rules), mountpoint, foreground=True, nothreads=True, **options)


if __name__ == "__main__":
    main(*sys.argv[1:4])
