"""Reads the YAML file in which a user describes paths of their own, or known ones with other options.

paths:
  s3fs-cached:
    like: s3fs
    options: ["use_cache={cache}"]
  gcsfuse:
    origin: pushed
    mount: [gcsfuse, --foreground, --only-dir, "{prefix}", "{bucket}", "{mountpoint}"]

A mount shows the run's own prefix and never the bucket: what is pushed through it lands there, and is deleted there.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from flows.files.yaml_files import load_model
from tasks.benchmark_values.paths import Arrives, Command, Origin, PathSpec, refuse_secret
from tasks.oci.errors import ConfigurationError
from tasks.operations.benchmark.catalogue import FUSERMOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NO_FOLDERS = {"", ".", "..", Origin.UPLOADED}
"""Names that lead out of a run's own prefix, or to what is uploaded there for all paths that only read."""


class PathModel(BaseModel):
    """One path; what is left out is as in the path that it is `like`, or as with s3fs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    like: str | None = None
    origin: Origin | None = None
    mount: Command | None = Field(default=None, min_length=1)
    unmount: Command | None = Field(default=None, min_length=1)
    pull: Command | None = Field(default=None, min_length=1)
    arrives: Arrives | None = None
    version: Command | None = Field(default=None, min_length=1)
    option: Command | None = Field(default=None, min_length=1)
    options: tuple[str, ...] | None = None
    environment: dict[str, str] | None = None
    own_credentials: tuple[str, ...] | None = None
    bucket: str | None = None


class PathsModel(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paths: dict[str, PathModel] = Field(min_length=1)


def load_paths(path: Path, known: Mapping[str, PathSpec]) -> dict[str, PathSpec]:
    """The paths that a file describes.

    Raises:
        ConfigurationError: it can't be read or is wrong; the message names line and field.
    """
    model = load_model(path, PathsModel)
    return {name: _spec(name, given, known) for name, given in model.paths.items()}


def _spec(name: str, given: PathModel, known: Mapping[str, PathSpec]) -> PathSpec:
    if "/" in name or name in _NO_FOLDERS:
        raise ConfigurationError(f"the path {name!r}: can't be called so: what is pushed is in a folder of that name")
    if given.like is not None and given.like not in known:
        raise ConfigurationError(f"the path {name}: like: there is no path {given.like!r}")
    if given.like is None and given.origin is None:
        raise ConfigurationError(f"the path {name}: origin: is missing, and so is what the path is like")
    base = known[given.like] if given.like else PathSpec(name=name, origin=Origin.PUSHED)
    told = given.model_dump(exclude_none=True, exclude={"like"})
    changes: dict[str, Any] = {each.name: told[each.name] for each in fields(PathSpec) if each.name in told}
    if given.mount is not None:
        changes = {"unmount": FUSERMOUNT, "last": (), "version": (), **changes}
    if given.pull is not None:
        changes = {"waits": False, "warm_up": given.version or (), "version": (), **changes}
    spec = replace(base, name=name, dat_type=None, **changes)
    if spec.bucket and not spec.reads_bucket:
        raise ConfigurationError(f"the path {name}: bucket: it reads from no bucket")
    if spec.options and not spec.mount:
        raise ConfigurationError(f"the path {name}: options: it has no mount that could have them")
    for option in spec.options:
        refuse_secret(option)
    _refuse_elsewhere(spec)
    return spec


def _refuse_elsewhere(spec: PathSpec) -> None:
    """Refuse commands that would mount at an unknown place, or show and read all of somebody's bucket."""
    if spec.mount and not _names(spec.mount_command, "mountpoint"):
        raise ConfigurationError(f"the path {spec.name}: mount: has no {{mountpoint}}")
    field, reading = ("mount", spec.mount_command) if spec.mount else ("pull", spec.pull)
    if spec.reads_bucket and not _names(reading, "prefix"):
        raise ConfigurationError(
            f"the path {spec.name}: {field}: has no {{prefix}}, and a benchmark keeps to its own prefix of the bucket"
        )


def _names(command: Command, name: str) -> bool:
    return any(f"{{{name}}}" in word for word in command)
