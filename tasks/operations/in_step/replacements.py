"""What people need on the day of the cut-over: which old reference becomes which new one, and the way back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError, RefusedError
from tasks.oci.reference import referrers_tag_of
from tasks.operations.source.index_marks import changed_layouts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.operations.reports.results import TagResult

OLD_REFERENCE = "{source}/{repository}:{tag}"
"""How the layouts' users name a tag, unless they say otherwise."""
_FIELDS = ("{source}", "{repository}", "{tag}")
_FIELD = re.compile(r"(?<![${])\{\w*\}(?!\})")
"""What looks like a field; `${NAME}` and `{{name}}` are variables of whoever reads the list."""
_SHOWN = 5


@dataclass(frozen=True, slots=True, order=True)
class Replacement:
    """A reference to the source, and the one to the target that has the same content; `new` holds the digest."""

    old: str
    new: str
    digest: str


def check_template(template: str) -> None:
    """See that every field of a template for old references is one that is filled in, and that it names the tag.

    Raises:
        ValueError: a field is unknown, or the tag is not named.
    """
    unknown = [field for field in _FIELD.findall(template) if field not in _FIELDS]
    if unknown:
        raise ValueError(f"there is no {', '.join(unknown)}, only {', '.join(_FIELDS)}")
    if "{tag}" not in template:
        raise ValueError("it must hold {tag}, or all tags of a repository would have one old name")


def replacements(
    results: Iterable[TagResult], source: str, template: str = OLD_REFERENCE, *, own_name: str = ""
) -> list[Replacement]:
    """A replacement for each verified tag, in the same order each time.

    A layout that is the source itself has no path below it; where a template has its name alone, that is `own_name`.
    Tags that name another digest are left out: they are found by tools, and named by nobody.
    """
    found = (_replacement(result, source, template, own_name) for result in results)
    return sorted(each for each in found if each is not None)


def _replacement(result: TagResult, source: str, template: str, own_name: str) -> Replacement | None:
    tag, digest = result.tag, result.digest
    if tag is None or digest is None or result.target is None or result.verified is None:
        return None
    if referrers_tag_of(tag, digest) is not None:
        return None
    is_source = result.repository == "."
    old = template.replace("{source}/{repository}", "{source}") if is_source else template
    old = old.replace("{source}", source.rstrip("/")).replace("{tag}", tag)
    old = old.replace("{repository}", own_name if is_source else result.repository)
    return Replacement(old, f"{result.target}@{digest}", digest)


def refuse_shared_names(found: Iterable[Replacement]) -> None:
    """See that no old reference stands for two new ones: whoever replaces it would get either.

    Raises:
        ConfigurationError: one does, as the template for old references leaves out what tells repositories apart.
    """
    new_ones: dict[str, str] = {}
    for each in found:
        if (other := new_ones.setdefault(each.old, each.new)) != each.new:
            message = f"--old-reference gives {other} and {each.new} the one name {each.old}; no file was written"
            raise ConfigurationError(f"{message}: put {{source}} or {{repository}} into it, or take one of them out")


def refuse_two_ways_back(found: Iterable[Replacement]) -> None:
    """See that no new reference stands for two old ones: whoever goes back by the list would get either.

    Raises:
        ConfigurationError: one does, as two sources have the same at one target.
    """
    old_ones: dict[str, str] = {}
    for each in found:
        if (other := old_ones.setdefault(each.new, each.old)) != each.old:
            message = f"--way-back would have {each.new} stand for {other} and {each.old}; no file was written"
            raise ConfigurationError(f"{message}: take one of the two sources out, or leave out --way-back")


def refuse_changes(source: str, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """See that two looks at the marks of a source found the same.

    Raises:
        RefusedError: the marks differ; the message names the first layouts that differ.
    """
    changed = sorted(changed_layouts(before, after))
    if changed:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise RefusedError(
            f"{source} is still written to: {', '.join(changed[:_SHOWN])}{more} changed; no file was written"
        )
