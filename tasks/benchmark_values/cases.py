"""What is pulled: single blobs, and several blobs of one size in one artifact (multis).

The sizes, and how they are written (`64MiB`, `16MiBx8`), are those of the ORAS project's article about lightweight
registries, so that its figures and ours can stand in one plot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB = 1024**2
SINGLES = ("8MiB", "16MiB", "32MiB", "64MiB", "128MiB", "256MiB", "512MiB", "1GiB", "2GiB")
MULTIS = ("16MiBx8", "64MiBx8", "64MiBx16")
QUICK_SINGLES = SINGLES[:4]
QUICK_MULTIS = ("8MiBx8",)
"""As much as the largest of the quick singles, so that the two can be compared."""
PATIENCE_SECONDS, LEAST_RATE = 300.0, MIB
"""How long a command may take, and a mount may upload after it: so long, and as if it had one MiB a second."""
_UNITS = {"B": 1, "": 1, "KiB": 1024, "MiB": MIB, "GiB": 1024**3, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_CLEAR = {"K": "KiB", "M": "MiB", "G": "GiB"}
"""What the letters alone mean to `head -c`; in labels they stand by these names, so that one size has one label."""
_LABEL = re.compile(r"([1-9][0-9]{0,11})(B|KiB|MiB|GiB|kB|MB|GB|K|M|G)?(?:x([1-9][0-9]{0,3}))?")


@dataclass(frozen=True, slots=True)
class Case:
    """One artifact: `count` blobs of `size` bytes each, named by its label."""

    label: str
    size: int
    count: int = 1

    @property
    def total(self) -> int:
        """Bytes of content."""
        return self.size * self.count

    @property
    def patience_seconds(self) -> float:
        """How long it is waited for, be it pushed, pulled or uploaded; what takes longer hangs."""
        return PATIENCE_SECONDS + self.total / LEAST_RATE

    @property
    def is_multi(self) -> bool:
        """Whether the label says how many blobs there are."""
        return "x" in self.label


def parse_case(label: str) -> Case:
    """Read a size (`64MiB`) or a multi (`16MiBx8`) as `head -c` reads it: `M` is `MiB`, and `MB` counts in thousands.

    Raises:
        ConfigurationError: the text is neither a size nor a multi.
    """
    match = _LABEL.fullmatch(label)
    if match is None:
        raise ConfigurationError(f"{label!r} is no size such as 64MiB, nor a size and number such as 16MiBx8")
    number, unit, count = match.groups(default="")
    clear = _CLEAR.get(unit, unit)
    return Case(f"{number}{clear}{'x' if count else ''}{count}", int(number) * _UNITS[clear], int(count or 1))


def parse_cases(sizes: Iterable[str], multis: Iterable[str]) -> tuple[Case, ...]:
    """The cases of two lists of labels, each once; a list's entries may hold several, parted by blanks or commas.

    Raises:
        ConfigurationError: a label is none, is in the wrong list, or there is none at all.
    """
    singles = [parse_case(label) for label in parted(sizes)]
    several = [parse_case(label) for label in parted(multis)]
    for case in (*singles, *several):
        if case.is_multi is (case in singles):
            raise ConfigurationError(
                f"{case.label} belongs into the list of {'multis' if case.is_multi else 'sizes'}"
            )
    cases = tuple(dict.fromkeys((*singles, *several)))
    if not cases:
        raise ConfigurationError("there is no size to measure")
    return cases


def parted(entries: Iterable[str]) -> list[str]:
    """The words of all entries of a list: each may hold several, parted by blanks or commas."""
    return [label for entry in entries for label in re.split(r"[\s,]+", entry) if label]
