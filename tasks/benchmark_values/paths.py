"""The ways to an artifact that are compared, as data: how each is mounted, pulled through and unmounted.

A command is a tuple of templates whose names in braces are filled in when it is run:

    {bucket} {prefix}     what is mounted; the repository is {prefix}/junk; the prefix has no slash at its ends
    {endpoint} {region}   the S3 service; a word that is only "{endpoint}" disappears, with the word before it,
                          where the SDK's own default is used
    {s3_url}              the same, also where that is the SDK's: for what finds none by the region
    {mountpoint}          an empty folder
    {directory}           the folder with the layout that was written to a plain directory
    {layout} {tag}        the layout to push to or pull from, and the tag
    {registry}            the repository in the registry, as host/name
    {plain_http}          --plain-http, where the registry speaks it
    {python}              the interpreter that runs layoutlift
    {out}                 an empty folder that the pull fills
    {cache}               an empty folder for what the program caches
"""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.benchmark_values.cases import Case

Command = tuple[str, ...]
FLAGS = frozenset({"plain_http", "to_plain_http"})
"""Names that stand for a whole option, so that the word before them is another's."""
_SECRETS = ("secret", "token", "password", "customer-key", "sse-c")


class Origin(StrEnum):
    """Where the repository that a path reads comes from."""

    PUSHED = "pushed"
    """It was pushed through the path's own mount."""
    UPLOADED = "uploaded"
    """It was uploaded through the SDK: for what only reads."""
    DIRECTORY = "directory"
    """It is a layout in a plain directory on the local disk."""
    REGISTRY = "registry"
    """It was copied into a registry."""


class Arrives(StrEnum):
    """What a pull leaves in its folder."""

    FILES = "files"
    """The artifact's files, by their names."""
    BLOBS = "blobs"
    """All blobs, by their digests, as in the layout."""


ORAS_PULL: Command = ("oras", "pull", "--no-tty", "--oci-layout", "{layout}:{tag}", "--output", "{out}")
ORAS_COPY: Command = ("oras", "cp", "--no-tty", "--from-oci-layout")
ORAS_PUSH: Command = ("oras", "push", "--no-tty", "--oci-layout", "{layout}:{tag}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSpec:
    """One way to an artifact. `dat_type` is the name that the article's data files have for it."""

    name: str
    origin: Origin
    pull: Command = ORAS_PULL
    warm_up: Command = ("oras", "version")
    """Run once before a cold pull, so that it is not the program itself that is read from a cold disk; or none."""
    waits: bool = False
    """Whether the pull says `ready` and begins when it gets a line, so that its start is not counted."""
    arrives: Arrives = Arrives.FILES
    mount: Command = ()
    unmount: Command = ()
    version: Command = ()
    option: Command = ("-o", "{option}")
    """How an option of the user's is put into the mount command, behind all else but `last`."""
    last: Command = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    own_credentials: tuple[str, ...] = ()
    """Mount options (without their dashes) that say where credentials come from; with one, none are handed over."""
    options: tuple[str, ...] = ()
    """The user's own mount options."""
    bucket: str | None = None
    """The user's own bucket for this path."""
    mounted_at: str | None = None
    """The user's own mount for this path: it is neither mounted nor unmounted here."""
    dat_type: str | None = None

    @property
    def programs(self) -> tuple[str, ...]:
        """What must be installed; an own mount needs no program to mount it."""
        first = [command[0] for command in (self.mount, self.pull) if command]
        return tuple(name for name in first if not name.startswith("{"))

    @property
    def is_mount(self) -> bool:
        """Whether the path goes through a file system."""
        return bool(self.mount) or self.mounted_at is not None

    @property
    def reads_bucket(self) -> bool:
        """Whether what it reads is in a bucket that we know; where an own mount's content is, we don't."""
        return self.origin in {Origin.PUSHED, Origin.UPLOADED} and self.mounted_at is None

    @property
    def shown_type(self) -> str:
        """The path's name in a data file."""
        return self.dat_type or self.name

    @property
    def mount_command(self) -> Command:
        """The whole mount command, still with templates in it."""
        own = [word.replace("{option}", option) for option in self.options for word in self.option]
        return (*self.mount, *own, *self.last) if self.mount else ()

    @property
    def recipe(self) -> str:
        """A short name for its commands and what they leave, which a file of the user's may change.

        Both names of the S3 service count as one: they differ at Amazon's alone, and histories have the older.
        """
        parts = (self.origin, self.arrives, self.mount_command, self.unmount, self.pull, sorted(self.environment))
        return hashlib.sha256(repr(parts).replace("{s3_url}", "{endpoint}").encode()).hexdigest()[:12]

    @property
    def hands_over_credentials(self) -> bool:
        """Whether the program gets ours by its environment."""
        names = {option.lstrip("-").partition("=")[0] for option in self.options}
        return names.isdisjoint(self.own_credentials)


@dataclass(frozen=True, slots=True)
class Visit:
    """One cold and one warm pull of a case by a path; `repeat` counts from 1."""

    path: PathSpec
    case: Case
    repeat: int


def fill(command: Command, values: Mapping[str, str | None]) -> list[str]:
    """Put values into a command; a word that is nothing but a missing value goes, and its option with it.

    Raises:
        ConfigurationError: the command asks for a value that there is not, or a brace of it has no other.
    """
    filled: list[str] = []
    for word in command:
        names = _names_in(word)
        unknown = [name for name in names if name not in values]
        if unknown:
            raise ConfigurationError(f"{word!r} in the command of a path: there is no {{{unknown[0]}}} to fill in")
        if any(values[name] is None for name in names):
            if filled and filled[-1].startswith("-") and not FLAGS.intersection(names):
                filled.pop()
            continue
        filled.append(word.format_map(values))
    return filled


def _names_in(word: str) -> list[str]:
    """The values that a word asks for, each a name in braces and nothing else."""
    try:
        parts = list(string.Formatter().parse(word))
    except ValueError as error:
        raise ConfigurationError(f"{word!r} in the command of a path: {error}; write {{{{ or }}}} for one") from error
    if any(form or conversion for _, _, form, conversion in parts):
        raise ConfigurationError(f"{word!r} in the command of a path: a name in braces stands alone")
    return [name for _, name, _, _ in parts if name is not None]


def chosen(
    catalogue: Mapping[str, PathSpec], wanted: Iterable[str], without: Iterable[str]
) -> tuple[tuple[PathSpec, ...], bool]:
    """The paths that a user asked for, in the catalogue's order; and whether they were asked for by name.

    Raises:
        ConfigurationError: one of them is unknown, or none is left.
    """
    named, left_out = set(wanted), set(without)
    unknown = sorted((named | left_out) - catalogue.keys())
    if unknown:
        raise ConfigurationError(f"there is no path {unknown[0]!r}; there are {', '.join(catalogue)}")
    found = tuple(
        spec for spec in catalogue.values() if (not named or spec.name in named) and spec.name not in left_out
    )
    if not found:
        raise ConfigurationError("no path is left to measure")
    return found, bool(named)


def altered(
    catalogue: Mapping[str, PathSpec],
    *,
    options: Iterable[str] = (),
    buckets: Iterable[str] = (),
    mounts: Iterable[str] = (),
) -> dict[str, PathSpec]:
    """The catalogue with the user's `PATH=VALUE` pairs put in.

    Raises:
        ConfigurationError: a pair has another form or names no path that could have it.
    """
    result = dict(catalogue)
    for name, folder in _pairs(mounts, "mount"):
        result[name] = _mounted_at(result.get(name), name, folder)
    for name, option in _pairs(options, "mount option"):
        spec = _mounting(result, name)
        refuse_secret(option)
        result[name] = replace(spec, options=(*spec.options, option))
    for name, bucket in _pairs(buckets, "bucket"):
        result[name] = _in_bucket(result, name, bucket)
    return result


def _mounted_at(known: PathSpec | None, name: str, folder: str) -> PathSpec:
    """A path with a mount of the user's own; one that is not known yet is pushed and pulled through it."""
    spec = known or PathSpec(name=name, origin=Origin.PUSHED)
    if spec.origin is not Origin.PUSHED:
        read_only = "nothing can be pushed through that: leave mounting to the benchmark"
        none = f"it reads through none: give yours a name of its own, such as mine={folder}"
        raise ConfigurationError(f"{name!r} can't have a mount of your own, {read_only if spec.mount else none}")
    return replace(spec, mounted_at=str(Path(folder).absolute()), mount=(), unmount=(), options=(), bucket=None)


def _mounting(catalogue: Mapping[str, PathSpec], name: str) -> PathSpec:
    if name not in catalogue or not catalogue[name].mount:
        able = ", ".join(spec.name for spec in catalogue.values() if spec.mount)
        raise ConfigurationError(f"{name!r} is no path that is mounted here; those are {able}")
    return catalogue[name]


def refuse_secret(option: str) -> None:
    """Options are part of the results, and of the flow's parameters.

    Raises:
        ConfigurationError: it gives what looks like a secret by its name.
    """
    kind, _, value = option.partition("=")
    if value and any(word in kind.replace("_", "-") for word in _SECRETS):
        raise ConfigurationError(f"{kind!r} would put a secret into the results: leave it to the environment")


def _in_bucket(catalogue: Mapping[str, PathSpec], name: str, bucket: str) -> PathSpec:
    if name not in catalogue or not catalogue[name].reads_bucket:
        able = ", ".join(spec.name for spec in catalogue.values() if spec.reads_bucket)
        raise ConfigurationError(f"{name!r} is no path that could have a bucket of its own; those are {able}")
    if "/" in bucket:
        raise ConfigurationError(f"{bucket!r} is no bucket's name; the prefix in it is that of LOCATION")
    return replace(catalogue[name], bucket=bucket)


def _pairs(texts: Iterable[str], what: str) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise ConfigurationError(f"a {what} is given as PATH=VALUE, such as s3fs=iam_role; not {name!r}")
    return [(name, value) for name, _, value in pairs]
