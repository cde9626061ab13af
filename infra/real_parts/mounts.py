"""FUSE mounts of a bucket: the file systems through which lightweight registries are written and read."""

import os
from pathlib import Path

from infra.real_parts.tools import find_tool
from infra.real_parts.waiting import wait_until
from tasks.stores.local_parts.fuse import check_fuse, is_mounted, unmount
from tasks.stores.local_parts.seaweedfs import SeaweedFS
from tasks.stores.local_parts.server import STOP_DEADLINE_SECONDS, Server


class Mount(Server):
    """A bucket as a directory, served by a program in the foreground; stopping unmounts it."""

    def __init__(self, folder: Path, *, s3: SeaweedFS, bucket: str, read_only: bool = False) -> None:
        super().__init__(folder)
        self.s3 = s3
        self.bucket = bucket
        self.read_only = read_only
        self.mountpoint = self.folder / "mount"

    def stop(self) -> None:
        """Unmount, and wait until the program has written everything back and is gone."""
        if is_mounted(self.mountpoint):
            unmount(self.mountpoint)
            wait_until(self._is_gone, what=f"{self.name} ends", deadline_seconds=4 * STOP_DEADLINE_SECONDS)
        super().stop()

    def _prepare(self) -> None:
        check_fuse()
        self.mountpoint.mkdir(parents=True, exist_ok=True)

    def _is_ready(self) -> bool:
        return is_mounted(self.mountpoint)


class S3Fs(Mount):
    """The bucket through s3fs, with its caches as short as they go."""

    name = "s3fs"

    def _command(self) -> list[str]:
        self._prepare()
        options = [
            f"url={self.s3.endpoint}",
            f"endpoint={self.s3.region}",
            f"passwd_file={self._write_password_file()}",
            "use_path_request_style",
            "stat_cache_expire=1",
            *(["ro"] if self.read_only else []),
        ]
        return [str(find_tool("s3fs")), self.bucket, str(self.mountpoint), "-f", "-o", ",".join(options)]

    def _write_password_file(self) -> Path:
        """Write what s3fs logs in with; it refuses a file that others may read."""
        path = self.folder / "s3fs.passwd"
        path.touch(mode=0o600)
        path.write_text(f"{self.s3.access_key}:{self.s3.secret_key}\n")
        return path


class Goofys(Mount):
    """The bucket through goofys, which trades POSIX for speed and keeps no file cache."""

    name = "goofys"

    def _command(self) -> list[str]:
        self._prepare()
        return [
            *(str(find_tool("goofys")), "-f", "--endpoint", self.s3.endpoint, "--region", self.s3.region),
            *("--stat-cache-ttl", "1s", "--type-cache-ttl", "1s"),
            *(["-o", "ro"] if self.read_only else []),
            *(self.bucket, str(self.mountpoint)),
        ]

    def _environment(self) -> dict[str, str]:
        return self.s3.environment()


class Rclone(Mount):
    """The bucket through `rclone mount`: streamed without a cache of content, names looked up anew each second."""

    name = "rclone"

    def _command(self) -> list[str]:
        self._prepare()
        return [
            *(str(find_tool("rclone")), "mount", f":s3:{self.bucket}", str(self.mountpoint), "--config", os.devnull),
            *("--s3-provider", "Other", "--s3-endpoint", self.s3.endpoint, "--s3-region", self.s3.region),
            *("--s3-env-auth", "--s3-force-path-style", "--vfs-cache-mode", "off"),
            *("--dir-cache-time", "1s", "--attr-timeout", "1s"),
            *(["--read-only"] if self.read_only else []),
        ]

    def _environment(self) -> dict[str, str]:
        return self.s3.environment()
