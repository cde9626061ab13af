"""What was measured: one value a pull, and what there is to know about the run as a whole."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


class Phase(StrEnum):
    """What was timed, and in which state the caches were."""

    PUSH = "push"
    COLD = "cold"
    """Freshly mounted; where that is allowed, the kernel's caches were dropped before."""
    WARM = "warm"
    """The same pull again through the same mount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one command cost; times in seconds, sizes in bytes. None is what could not be seen."""

    wall: float
    user: float
    system: float
    first_byte: float | None = None
    """From the start until a byte of content was on the local disk."""
    fuse_user: float | None = None
    fuse_system: float | None = None
    fuse_peak: int | None = None
    """Most memory that the FUSE program had resident, since its start or the pull's, where that can be reset."""
    s3_requests: Mapping[str, int] | None = None
    """How many requests of each method reached the S3 service."""
    s3_sent: int | None = None
    """How many bytes of content the S3 service sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One pull or push whose content was found right."""

    path: str
    case: str
    size: int
    count: int
    phase: Phase
    repeat: int
    cost: Cost

    @property
    def total(self) -> int:
        """Bytes of content."""
        return self.size * self.count

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.total / max(self.cost.wall, 1e-9)

    def to_json(self) -> dict[str, Any]:
        """As plain values, the cost's among them."""
        values = asdict(self)
        return {"kind": "measurement", **{k: v for k, v in values.items() if k != "cost"}, **values["cost"]}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """What `to_json` made.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        for name in ("size", "count", "wall", "user", "system"):
            _check_number(row[name], least=1 if name in {"size", "count"} else -math.inf)
        cost = Cost(**{each.name: row[each.name] for each in fields(Cost)})
        own = {each.name: row[each.name] for each in fields(cls) if each.name != "cost"}
        return cls(**own | {"phase": Phase(row["phase"]), "cost": cost})


def _check_number(value: object, least: float) -> None:
    if not isinstance(value, int | float) or not math.isfinite(value) or value < least:
        raise ValueError(f"{value!r} is no figure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A pull or push that has no figure, because it failed or what it brought was wrong."""

    path: str
    case: str
    phase: Phase
    repeat: int
    code: str
    message: str

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"kind": "failure", **asdict(self)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """What `to_json` made.

        Raises:
            KeyError, ValueError: it is something else.
        """
        own = {each.name: row[each.name] for each in fields(cls)}
        return cls(**own | {"phase": Phase(row["phase"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedPath:
    """How a path was used, with its templates filled in; part of the result, because options decide the figures."""

    name: str
    version: str = ""
    mount: str = ""
    unmount: str = ""
    pull: str = ""
    options: tuple[str, ...] = ()
    """The mount options that the user added."""
    place: str = ""
    """The user's own bucket, mount or registry for this path; empty where it is that of the whole run."""
    left_out: str = ""
    """Why it was not measured; empty where it was."""
    recipe: str = ""
    """What its commands are before anything is filled in, in short."""


def _used_path(row: Mapping[str, Any]) -> UsedPath:
    return UsedPath(**{**row, "options": tuple(row["options"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What there is to know about a run besides its figures."""

    run: str
    started: str
    location: str
    endpoint: str
    content: str
    host: str
    processors: int
    system: str
    cold: str
    """How caches were emptied before a cold pull."""
    repeats: int
    load_before: float
    """The machine's load average when the run began: another's work shows in every figure."""
    paths: tuple[UsedPath, ...] = ()
    counted: str = ""
    """Where the counts of requests come from."""
    pause: float | None = None
    """Seconds between two pulls."""
    programs: str = ""
    """The versions of what does the work beside the paths' own programs; older results don't say."""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"kind": "about", "schema": 1, **asdict(self)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """What `to_json` made.

        Raises:
            KeyError, TypeError: it is something else.
        """
        own = {each.name: row[each.name] for each in fields(cls) if each.name in row}
        return cls(**own | {"paths": tuple(_used_path(path) for path in row["paths"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All of a run, or of a file of another's."""

    name: str
    measurements: tuple[Measurement, ...]
    failures: tuple[Failure, ...] = ()
    about: About | None = None
    warnings: tuple[str, ...] = field(default=())
    ended: tuple[str, ...] = ()
    """The cases that were measured to their ends."""
