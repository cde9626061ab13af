"""What of a source a user chooses, as plain values: a new rule has its place here, in all that is asked of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.oci.errors import ConfigurationError
from tasks.operations.choosing.exact_list import ExactList
from tasks.operations.choosing.selection import Selection
from tasks.stores.given_files import STANDARD_INPUT, read_listed_text

if TYPE_CHECKING:
    from tasks.operations.choosing.by_age import Ages
    from tasks.operations.choosing.newest import Newest


@dataclass(frozen=True, slots=True)
class ChoosingOptions:
    """All that chooses; with none of it, everything is chosen. The exact list is in a file, `tags_from`."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    newest: Newest | None = None
    ages: Ages | None = None
    tags_from: str | None = None

    @property
    def leaves_out(self) -> bool:
        """Whether anything of the source is left out."""
        return self != ChoosingOptions()

    @property
    def settings(self) -> tuple[object, ...]:
        """What makes the selection, for the ledger's marks; `marked_of` has what each repository adds."""
        newest = () if self.newest is None else (self.newest.count, str(self.newest.order_by))
        ages = () if self.ages is None else (("ages", self.ages.newer_than, self.ages.older_than),)
        return (self.include, self.exclude, *newest, *ages)

    def counted_from(self, moment: float | None) -> ChoosingOptions:
        """The same with ages that are counted from a moment, where there is one."""
        return self if self.ages is None or moment is None else replace(self, ages=replace(self.ages, now=moment))

    def selection(self) -> Selection:
        """The tags that are chosen; a list of them is read each time.

        Raises:
            ConfigurationError: a pattern or list can't be used.
        """
        listed = read_exact_list(self.tags_from)
        return Selection.parse(self.include, self.exclude, self.newest, listed, self.ages)

    def shown(self) -> dict[str, Any]:
        """What there is, for the report; times in seconds."""
        shown: dict[str, Any] = {n: list(getattr(self, n)) for n in ("include", "exclude") if getattr(self, n)}
        if self.newest is not None:
            shown |= {"newest": self.newest.count, "order_by": str(self.newest.order_by)}
        if self.ages is not None:
            shown |= _shown_ages(self.ages)
        return shown | ({"tags_from": self.tags_from} if self.tags_from else {})


def read_exact_list(place: str | None) -> ExactList | None:
    """The list in a file, or on standard input (`-`); None where there is no place.

    Raises:
        ConfigurationError: it can't be read, lists nothing, or has lines that are no references.
    """
    if place is None:
        return None
    name = "standard input" if place == STANDARD_INPUT else place
    try:
        return ExactList.parse(read_listed_text(place).split("\n"), name)
    except ConfigurationError as error:
        raise ConfigurationError(f"--tags-from: {error}") from error


def _shown_ages(ages: Ages) -> dict[str, Any]:
    limits = {"newer_than": ages.newer_than, "older_than": ages.older_than}
    shown: dict[str, Any] = {name: seconds for name, seconds in limits.items() if seconds is not None}
    return shown | {"ages_from": datetime.fromtimestamp(ages.now, UTC).isoformat(timespec="seconds")}
