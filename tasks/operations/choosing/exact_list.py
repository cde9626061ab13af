"""An exact list of what is wanted of a source: `REPOSITORY:TAG` or `REPOSITORY@DIGEST`, one a line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from tasks.oci.codes import Problem
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError, LayoutliftError
from tasks.oci.reference import is_tag
from tasks.operations.choosing.ancestry import with_ancestors
from tasks.operations.reports.shown_text import printable
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_MISTAKES_TOLD = 20
_HERE = "./"
_BY_DIGEST = re.compile(r"(.*)@((?:sha256|sha512):.*)")


@dataclass(frozen=True, slots=True)
class ExactList:
    """What is wanted of each repository: tags and digests, each with the first line of `name` that has it.

    Repositories are named as `printable` shows them, and so by `ls`; `folders` has them and all that lead to them.
    """

    name: str
    repositories: Mapping[str, Mapping[str, int]]
    folders: frozenset[str]

    @classmethod
    def parse(cls, lines: Iterable[str], name: str) -> ExactList:
        """Read the lines of a file; blank ones and those that begin with `#` are passed over.

        So is what follows a tab: lines of `ls` have a digest there. A repository may be written with `./` before it.

        Raises:
            ConfigurationError: some are no references, each with its number, or there is none.
        """
        repositories: dict[str, dict[str, int]] = {}
        mistakes: list[str] = []
        for number, line in enumerate(lines, start=1):
            text = line.partition("\t")[0].strip()
            if not text or text.startswith("#"):
                continue
            try:
                repository, wanted = _reference(text.removeprefix(_HERE))
            except LayoutliftError as error:
                mistakes.append(f"{name}:{number}: {text!r}: {error}")
            else:
                repositories.setdefault(repository, {}).setdefault(wanted, number)
        if mistakes:
            more = len(mistakes) - _MISTAKES_TOLD
            told = [*mistakes[:_MISTAKES_TOLD], *([f"{name}: {more} more lines are wrong"] if more > 0 else [])]
            raise ConfigurationError("\n".join(told))
        if not repositories:
            raise ConfigurationError(f"{name} lists nothing, so nothing would be done")
        return cls(name, repositories, frozenset(_folders(repositories)))

    def of(self, path: str) -> Mapping[str, int]:
        """The tags and digests that are wanted of a repository, with their lines."""
        return self.repositories.get(path if path.isprintable() else printable(path), {})

    def mark_of(self, paths: Iterable[str]) -> str:
        """A short mark of what is wanted of these repositories, wherever in the list that is said."""
        wanted = sorted((printable(path), sorted(self.of(path))) for path in paths)
        return sha256(repr(wanted).encode(errors="backslashreplace")).hexdigest()[:16]

    def reaches(self, folder: str) -> bool:
        """Whether a listed repository is a folder, lies below it, or has it inside."""
        shown = printable(folder)
        return shown in self.folders or any(above in self.repositories for above in with_ancestors(shown))

    def absent(self, path: str, found: Collection[str]) -> tuple[Finding, ...]:
        """Name each line with a tag or digest that is not among what was `found` in a repository."""
        return tuple(
            Finding(path, Problem.MISSING_AT_SOURCE, f"{self.name}:{line}: the repository has no {_shown(wanted)}")
            for wanted, line in self.of(path).items()
            if wanted not in found
        )

    def unknown(self, paths: Iterable[str]) -> tuple[Finding, ...]:
        """Name each line with a repository that is not among all that the source has."""
        left = self.repositories.keys() - set(map(printable, paths))
        return tuple(
            Finding(
                path,
                Problem.MISSING_AT_SOURCE,
                f"{self.name}:{line}: the source has no such repository, for {wanted}",
            )
            for path, listed in self.repositories.items()
            if path in left
            for wanted, line in listed.items()
        )


def as_listed(path: str) -> str:
    """How a list of ours names a repository, so that it is neither taken for a comment nor loses a blank."""
    shown = printable(path)
    return _HERE + shown if shown.startswith(("#", " ")) else shown


def _reference(text: str) -> tuple[str, str]:
    """Repository and tag or digest of a line.

    Raises:
        ConfigurationError, InvalidDigestError: it has none of them, or one that none can be.
    """
    if by_digest := _BY_DIGEST.fullmatch(text):
        repository, wanted = by_digest[1], str(Digest(by_digest[2]))
        if is_tag(repository.rpartition("/")[2].partition(":")[2]):
            raise ConfigurationError("it has a tag and a digest; keep the one that is meant")
    else:
        repository, _, wanted = text.rpartition(":")
        if not is_tag(wanted) or not repository:
            raise ConfigurationError("it is not REPOSITORY:TAG or REPOSITORY@DIGEST")
    if "" in repository.split("/"):
        raise ConfigurationError("a repository has no slash at its ends, and no two in a row")
    return repository, wanted


def _shown(wanted: str) -> str:
    return f"entry with the digest {wanted}" if ":" in wanted else f"tag {wanted}"


def _folders(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        yield from with_ancestors(path)
