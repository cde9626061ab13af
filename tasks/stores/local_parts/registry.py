"""A registry of one's own on loopback: distribution, 2.8 as Debian ships it or 3."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tasks.stores.local_parts.ports import LOOPBACK, free_port
from tasks.stores.local_parts.programs import find_program, program
from tasks.stores.local_parts.server import Server
from tasks.stores.local_parts.waiting import http_status

if TYPE_CHECKING:
    from pathlib import Path

HTTP_OK = 200
PROGRAMS = ("docker-registry", "registry")


def distribution_configuration(host: str, storage: Path) -> dict[str, Any]:
    """What distribution is told of an address on loopback and a folder; without authentication."""
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": host, "secret": "of no worth on loopback"},
    }


def distribution_environment() -> dict[str, str]:
    """Our environment without distribution's settings: podman knows one of the names (REGISTRY_AUTH_FILE), too."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    return ours | {"OTEL_TRACES_EXPORTER": "none"}  # distribution 3 would look for a collector


def registry_program() -> Path:
    """Whichever distribution is installed.

    Raises:
        ProgramMissingError: none is.
    """
    return next(filter(None, map(find_program, PROGRAMS)), None) or program(PROGRAMS[0])


class LocalRegistry(Server):
    """Whichever distribution is installed, with its storage below its folder."""

    name = "registry"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.host = f"{LOOPBACK}:{free_port()}"

    def _command(self) -> list[str]:
        path = self.folder / "config.json"
        path.write_text(
            json.dumps(distribution_configuration(self.host, self.folder / "storage"))
        )  # JSON is YAML, too
        return [str(registry_program()), "serve", str(path)]

    def _whole_environment(self) -> dict[str, str]:
        return distribution_environment()

    def _is_ready(self) -> bool:
        return http_status(f"http://{self.host}/v2/") == HTTP_OK
