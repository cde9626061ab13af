"""Builds the Go tools of the tests once into a cache by version (`make tools`).

Standard library only. Without Go it says so and succeeds: the tests
that need a tool are then skipped with the way to get it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.real_parts.tools import GO_TOOLS, GoTool

MOST_BUILDS_AT_ONCE = 2
# What the benchmarks are run against, beside oras; built only when named (`make bench`).
PEERS = {
    tool.name: tool
    for tool in (
        GoTool(name="crane", package="github.com/google/go-containerregistry/cmd/crane", version="v0.22.1"),
        GoTool(name="regctl", package="github.com/regclient/regclient/cmd/regctl", version="v0.11.7"),
        GoTool(name="regsync", package="github.com/regclient/regclient/cmd/regsync", version="v0.11.7"),
    )
}


def main(names: list[str]) -> int:
    """Build the named tools, or all that the tests use, and return the exit status."""
    wanted = [(GO_TOOLS | PEERS)[name] for name in names or GO_TOOLS]
    missing = [tool for tool in wanted if not tool.path.exists()]
    if not missing:
        return 0
    go = shutil.which("go")
    if go is None:
        print(f"tools: Go is not installed, so not built: {', '.join(tool.name for tool in missing)}")
        return 0
    with ThreadPoolExecutor(MOST_BUILDS_AT_ONCE) as builders:
        built = list(builders.map(lambda tool: build(tool, go), missing))
    return 0 if all(built) else 1


def build(tool: GoTool, go: str) -> bool:
    """Build one tool beside its place and move it in whole, so that a half-built one is never found."""
    print(f"tools: building {tool.package}@{tool.version}", flush=True)
    tool.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tool.folder) as folder:
        outcome = subprocess.run(
            [go, "install", "-trimpath", f"{tool.package}@{tool.version}"],
            cwd=folder,
            env=os.environ | {"GOBIN": folder, "CGO_ENABLED": "0"},
            check=False,
            capture_output=True,
            text=True,
        )
        if outcome.returncode != 0:
            print(f"tools: {tool.name} was not built:\n{outcome.stderr}", file=sys.stderr)
            return False
        (Path(folder) / Path(tool.package).name).replace(tool.path)
    print(f"tools: {tool.path}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
