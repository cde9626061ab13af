"""The AWS CLI in a virtual environment of its own: it wants versions of its own, which must not become ours.

It is run with the user's credentials, so each of its packages is taken by its hash and not otherwise.
A package's source would be built by what no hash is known of, so none is taken.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.oci.errors import ProgramMissingError
from tasks.stores.home_folder import home_of

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "1.46.2"
"""As in requirements/awscli.in, of which `make lock` makes the list with hashes."""
LOCKED = Path(__file__).with_name("awscli.txt")
INSTALL_SECONDS = 600.0
_COMPLETE = ".complete"
_TAIL = 300
_NOT_PIPS = ("PYTHON", "LAYOUTLIFT_", "AWS_")


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where the virtual environment is kept between runs.

    Raises:
        ConfigurationError: nowhere, as this user has no home.
    """
    chosen = Path(environment.get("XDG_CACHE_HOME", ""))
    base = chosen if chosen.is_absolute() else home_of(environment) / ".cache"
    return base / "layoutlift" / f"awscli-{VERSION}"


def ready_aws_cli(folder: Path) -> Path:
    """The program `aws` of that environment, which is made the first time.

    Raises:
        ProgramMissingError: it can't be made here; the message says why.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / _COMPLETE).exists():
                _make(folder)
                (folder / _COMPLETE).touch()
    except (OSError, subprocess.SubprocessError) as error:
        raise ProgramMissingError(f"the AWS CLI can't be installed into {folder}: {_reason(error)}") from error
    return folder / "bin" / "aws"


def _make(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    own = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PIPS)}
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    locked = ["--only-binary", ":all:", "--require-hashes", "-r", str(LOCKED)]
    for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, *locked]):
        subprocess.run(  # noqa: S603 - our own interpreter, and the one just made
            command, check=True, capture_output=True, text=True, env=own, timeout=INSTALL_SECONDS
        )


def _reason(error: Exception) -> str:
    said = getattr(error, "stderr", None) or str(error)
    return " ".join(str(said).split())[-_TAIL:]
