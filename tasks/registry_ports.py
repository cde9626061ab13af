"""What is asked of a registry besides content: to have repositories. And what it answers to a wish to delete."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Protocol


class Deletion(StrEnum):
    """What came of a wish to delete."""

    DELETED = "deleted"
    MISSING = "missing"
    UNSUPPORTED = "unsupported"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class NewRepositories:
    """How repositories are set up where they are made before the first push."""

    immutable_tags: bool = False
    scan_on_push: bool = False


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """What a registry says of a repository: whether a push has a place to go, and whether tags may move there.

    One that does not exist may still come by the first push, where the registry was told to make such.
    Of tags that fit one of `exceptions`, patterns in which `*` stands for any characters, the contrary is true.
    """

    exists: bool = True
    comes_by_push: bool = False
    immutable_tags: bool = False
    exceptions: tuple[str, ...] = ()

    def holds(self, tag: str) -> bool:
        """Whether a tag that is there can't be moved."""
        return self.immutable_tags != any(fnmatchcase(tag, pattern) for pattern in self.exceptions)


MADE_BY_A_PUSH = RepositoryState()
"""Of a registry without a keeper: a push makes the repository, and moves its tags."""


class RepositoryKeeper(Protocol):
    """Looks after what must exist at a registry before a push; where a push makes it all, there is no keeper."""

    def state(self, repository: str) -> RepositoryState:
        """What there is for a repository.

        Raises:
            RegistryError: the registry does not say.
        """
        ...

    def create(self, repository: str, settings: NewRepositories) -> None:
        """Make what a push to the repository needs; one that is there already is left as it is.

        Raises:
            RegistryError: the registry refuses.
        """
        ...
