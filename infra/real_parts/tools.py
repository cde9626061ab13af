"""Where the programs of the real parts are found, and what to do where one is missing."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tasks.oci.errors import ProgramMissingError
from tasks.stores.local_parts.programs import find_program


@dataclass(frozen=True, kw_only=True)
class GoTool:
    """A program that `make tools` builds from a Go module at an exact version."""

    name: str
    package: str
    version: str

    @property
    def folder(self) -> Path:
        """The folder of the cache that holds this version and no other."""
        return tool_cache() / f"{self.name}-{self.version}"

    @property
    def path(self) -> Path:
        """The program in the cache, built or not."""
        return self.folder / self.name


GO_TOOLS = {
    tool.name: tool
    for tool in (
        GoTool(name="oras", package="oras.land/oras/cmd/oras", version="v1.3.6"),
        GoTool(name="registry", package="github.com/distribution/distribution/v3/cmd/registry", version="v3.1.2"),
        GoTool(name="compose-go", package="github.com/compose-spec/compose-go/v2/cmd", version="v2.16.2"),
        GoTool(name="toxiproxy-server", package="github.com/Shopify/toxiproxy/v2/cmd/server", version="v2.5.0"),
    )
}
SYSTEM_PACKAGES = {
    "docker-registry": "docker-registry",
    "fusermount3": "fuse3",
    "jq": "jq",
    "s3fs": "s3fs",
    "skopeo": "skopeo",
    "systemd-analyze": "systemd",
}
IN_VIRTUAL_ENVIRONMENT = ("layoutlift", "rclone", "weed")
OWN_TOOLS_HINT = "put it on PATH or in the folder that LAYOUTLIFT_TOOLS names"


def tool_cache() -> Path:
    """The folder, outside the clone, that keeps built tools by version."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "layoutlift" / "tools"


def find_tool(name: str) -> Path:
    """A program's path.

    Raises:
        ProgramMissingError: it is nowhere; the message says how a developer gets it.
    """
    found = find_program(name) or _built(name)
    if found is None:
        raise ProgramMissingError(f"{name} is not installed: {how_to_get(name)}")
    return found


def how_to_get(name: str) -> str:
    """Say in one sentence how a user of this machine gets the program."""
    if name in GO_TOOLS:
        return f"run `make tools` (needs Go; builds {GO_TOOLS[name].package}@{GO_TOOLS[name].version})"
    if name in SYSTEM_PACKAGES:
        return f"run `make system-packages` as root, or install the package {SYSTEM_PACKAGES[name]}"
    if name in IN_VIRTUAL_ENVIRONMENT:
        return "run `make install`"
    return OWN_TOOLS_HINT


def _built(name: str) -> Path | None:
    """What the project built, for a program that is neither the user's choice nor installed."""
    found = shutil.which(name, path=str(GO_TOOLS[name].folder)) if name in GO_TOOLS else None
    return Path(found).absolute() if found is not None else None
