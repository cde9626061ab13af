"""Which repositories and tags a run is about, and what they are called at the target.

A pattern is `REPOSITORY[:TAG]` and must match in full. REPOSITORY is a glob (`*` and `?` stay within a path's
component, `**` does not, `[...]` is a set); none means all. TAG is a glob, `regex:EXPRESSION` or
`semver:CONSTRAINT`. It starts at the first colon outside a set, so that `[:]` stands for a colon in a path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError
from tasks.operations.choosing.globs import SET, glob
from tasks.operations.choosing.newest import NewestBy
from tasks.operations.choosing.semver import Constraint

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from tasks.operations.choosing.by_age import Ages
    from tasks.operations.choosing.exact_list import ExactList
    from tasks.operations.choosing.newest import Newest

_TAG_START = re.compile(rf"((?:{SET}|[^:])*?)(?::(.*))?", re.DOTALL)
_KINDS = ("regex", "semver")
_WILDCARDS = frozenset("*?[")
_DIGEST = re.compile(r".*@(?:sha256|sha512):[0-9a-f]+", re.DOTALL)
_PORT = re.compile(r"[0-9]+/.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One pattern, as it was `written` and taken apart.

    `tag` is None where it has no tag part, which may be a rule or a tag's name (`names_tag`). `begins` are the first
    components, without a wildcard.
    """

    written: str
    text: str
    repository: re.Pattern[str]
    tag: Callable[[str], object] | None
    begins: tuple[str, ...]
    names_tag: bool

    @classmethod
    def parse(cls, text: str) -> _Pattern:
        try:
            return cls._parse(text)
        except (ConfigurationError, re.error, OverflowError, RecursionError) as error:
            raise ConfigurationError(f"the pattern {text!r} can't be used: {error}") from error

    @classmethod
    def _parse(cls, text: str) -> _Pattern:
        match = _TAG_START.fullmatch(text)
        if not text or match is None:
            raise ConfigurationError("it is empty")
        repository, tag = match.groups()
        _refuse_reference(text, repository, tag or "")
        if tag is not None and repository in _KINDS:
            raise ConfigurationError(f"a tag part comes after a colon; for tags of all repositories write ':{text}'")
        if repository and "" in repository.split("/"):
            raise ConfigurationError("a path has no slash at its ends, and no two in a row")
        repository = repository or "**"
        plain = tuple(takewhile(lambda component: not _WILDCARDS.intersection(component), repository.split("/")))
        expression = glob(repository, any_character="[^/]")
        names_tag = tag is not None and not {*_WILDCARDS, ":"}.intersection(tag)
        return cls(text, repository, expression, None if tag is None else _tag_test(tag), plain, names_tag)

    def matches(self, repository: str, tag: str | None) -> bool:
        """Whether both parts match; a pattern with a tag part matches nothing untagged."""
        if self.tag is not None and (tag is None or not self.tag(tag)):
            return False
        return self.repository.fullmatch(repository) is not None

    def takes_all(self, folder: str) -> bool:
        """Whether all repositories below a folder match surely, whatever tags they have."""
        below = f"{folder}/"  # a `**` at the end that takes this takes everything that begins so
        return self.tag is None and self.text.endswith("**") and self.repository.fullmatch(below) is not None

    def may_reach(self, folder: str) -> bool:
        """Whether a repository at or below a folder may match."""
        return all(mine == theirs for mine, theirs in zip(self.begins, folder.split("/"), strict=False))


def _refuse_reference(text: str, repository: str, tag: str) -> None:
    """Refuse what was copied from a registry's page and fits nothing: a path may look like a host, with a dot in it.

    A folder whose name is like the beginning of these is meant with its `@` or `:` in a set.
    """
    if _DIGEST.fullmatch(text):
        raise ConfigurationError("it names a digest, and patterns are of repositories and tags")
    if tag.startswith("//"):
        raise ConfigurationError(f"it begins with {repository}://, and a path begins below SOURCE")
    if _PORT.fullmatch(tag) and not _WILDCARDS.intersection(repository):
        host = f"{repository}:{tag.partition('/')[0]}"
        raise ConfigurationError(f"it begins with the registry {host}, and a path begins below SOURCE")


def _tag_test(text: str) -> Callable[[str], object]:
    kind, colon, rest = text.partition(":")
    if not text or (colon and not rest):
        raise ConfigurationError("nothing follows its last colon")
    if colon and kind == "regex":
        return re.compile(rest).fullmatch
    if colon and kind == "semver":
        return Constraint.parse(rest).allows
    if colon:
        raise ConfigurationError("no tag has a colon; the kinds are 'regex:' and 'semver:'")
    if "," in re.sub(SET, "", text):
        raise ConfigurationError("no tag has a comma: each takes a pattern of its own")
    return glob(text, any_character=".").fullmatch


@dataclass(frozen=True, slots=True)
class Selection:
    """What the user's include and exclude patterns choose; everything where there are none.

    With `ages`, only what is of these, and with `newest`, only the newest of it in each repository: that is for all
    its tags together to say, and no method here does. A `listed` selection has an exact list, and nothing else.
    """

    include: tuple[_Pattern, ...] = ()
    exclude: tuple[_Pattern, ...] = ()
    newest: Newest | None = None
    listed: ExactList | None = None
    ages: Ages | None = None

    @classmethod
    def parse(
        cls,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        newest: Newest | None = None,
        listed: ExactList | None = None,
        ages: Ages | None = None,
    ) -> Selection:
        """Read patterns.

        Raises:
            ConfigurationError: one can't be used; the message names it.
        """
        return cls(tuple(map(_Pattern.parse, include)), tuple(map(_Pattern.parse, exclude)), newest, listed, ages)

    @property
    def asks_for_times(self) -> bool:
        """Whether it has to be known when manifests were made."""
        return self.ages is not None or (self.newest is not None and self.newest.order_by is NewestBy.CREATED)

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out, because there is no pattern, number, age or list."""
        narrowed = (self.newest, self.ages, self.listed)
        return not self.include and not self.exclude and all(each is None for each in narrowed)

    def matches(self, repository: str, tag: str | None) -> bool:
        """Whether patterns or a list choose a tag; None is an untagged entry, which those of tags pass over."""
        if self.listed is not None:
            return tag in self.listed.of(repository)
        if any(pattern.matches(repository, tag) for pattern in self.exclude):
            return False
        return not self.include or any(pattern.matches(repository, tag) for pattern in self.include)

    def fitting(self, repository: str, tags: Sequence[str | None] | None, known: Collection[str] = ()) -> set[str]:
        """The include patterns, but for the `known` ones, that fit a layout or one of its tags.

        Where nobody looked at its tags (None), these are all that may.
        """
        return {
            p.written
            for p in self.include
            if p.written not in known
            and p.repository.fullmatch(repository)
            and (p.tag is None or tags is None or any(tag is not None and p.tag(tag) for tag in tags))
        }

    def unused(self, fitting: Collection[str], unread: Collection[str]) -> list[str]:
        """The include patterns that are not among the `fitting`, but for those that may fit something `unread`."""
        hides_all = "." in unread
        return [
            each
            for each, p in {p.written: p for p in self.include}.items()
            if each not in fitting and not hides_all and not any(map(p.may_reach, unread))
        ]

    def wanted_of(self, repository: str) -> tuple[object, ...]:
        """What a list has of a repository, for the ledger's mark of it; nothing where there is none."""
        return () if self.listed is None else (tuple(sorted(self.listed.of(repository))),)

    def takes_whole(self, repository: str, *, has_tags: bool) -> bool:
        """Whether a layout is chosen whatever tags it has; one without any has none that could be left out."""
        if self.listed is not None:
            return False
        leaves_out = any(p.repository.fullmatch(repository) for p in self.exclude)
        return self.matches(repository, None) and not (has_tags and leaves_out)

    def may_match(self, repository: str) -> bool:
        """Whether any tag of a repository could be chosen; where not, its index need not be read."""
        if self.listed is not None:
            return bool(self.listed.of(repository))
        if any(p.tag is None and p.repository.fullmatch(repository) for p in self.exclude):
            return False
        return not self.include or any(p.repository.fullmatch(repository) for p in self.include)

    def may_match_below(self, folder: str) -> bool:
        """Whether a folder may hold anything that is chosen; where not, it may as well be unreadable."""
        if folder == ".":
            return True
        if self.listed is not None:
            return self.listed.reaches(folder)
        names_it = any(p.tag is None and p.repository.fullmatch(folder) for p in self.exclude)
        if names_it and any(p.takes_all(folder) for p in self.exclude):
            return False
        return not self.include or any(p.may_reach(folder) for p in self.include)


@dataclass(frozen=True, slots=True)
class Renames:
    """New paths by old ones, used before a path is mapped to a name that registries take."""

    by_path: Mapping[str, str]

    @classmethod
    def parse(cls, renames: Sequence[str] = ()) -> Renames:
        """Read `OLD=NEW` pairs; OLD may hold equals signs, NEW can't (no registry takes them).

        Raises:
            ConfigurationError: one is no such pair, or two of them rename the same path.
        """
        by_path: dict[str, str] = {}
        for text in renames:
            old, _, new = text.rpartition("=")
            if not _is_path(old) or not _is_path(new) or new == ".":
                raise ConfigurationError(f"not a rename of the form OLD=NEW, both repository paths: {text!r}")
            if by_path.setdefault(old, new) != new:
                raise ConfigurationError(f"two renames of the same path: {text!r} and '{old}={by_path[old]}'")
        return cls(by_path)

    def apply(self, path: str) -> str:
        """The new path: OLD stands for itself and all below it, and the longest OLD that fits wins.

        `.` stands for the source itself alone.
        """
        old = self._fitting(path)
        return path if old is None else self.by_path[old] + path.removeprefix(old)

    def unused(self, paths: Iterable[str]) -> list[str]:
        """Each OLD that gives none of the paths its name."""
        return sorted(self.by_path.keys() - {self._fitting(path) for path in paths})

    def _fitting(self, path: str) -> str | None:
        while path and path not in self.by_path:
            path = path.rpartition("/")[0]
        return path or None


def _is_path(text: str) -> bool:
    return text == "." or {"", ".", ".."}.isdisjoint(text.split("/"))
