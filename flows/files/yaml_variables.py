"""Puts the environment's values where a YAML file names them: `${NAME}`, `${NAME:-otherwise}`, `$${` for `${`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


class _UnusableError(ValueError):
    """What is wrong with a reference."""


def expand(root: yaml.Node | None, environ: Mapping[str, str]) -> Iterator[tuple[int, str, str]]:
    """Replace every reference in the values of a YAML tree; keys, and values put in, are taken as they are.

    Yields line, field and what is wrong for each reference that can't be replaced.
    """
    seen: set[int] = set()
    places: list[tuple[yaml.Node, tuple[str, ...]]] = [(root, ())] if root is not None else []
    while places:
        node, place = places.pop()
        if id(node) in seen:  # by an alias
            continue
        seen.add(id(node))
        places += [(value, (*place, name)) for name, value in reversed(_values_of(node))]
        if isinstance(node, yaml.ScalarNode):
            try:
                node.value = expanded(node.value, environ)
            except _UnusableError as error:
                yield node.start_mark.line + 1, ".".join(place), str(error)


def _values_of(node: yaml.Node) -> list[tuple[str, yaml.Node]]:
    """The nodes in one, each with its name or number; none where it is a value itself."""
    if isinstance(node, yaml.MappingNode):
        return [(str(key.value), value) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return [(str(number), value) for number, value in enumerate(node.value)]
    return []


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """A value with its references replaced.

    Raises:
        ValueError: one is no reference, or the environment has no such variable.
    """

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        inside = _INSIDE.fullmatch(match[1]) if match[0].endswith("}") else None
        if inside is None:
            raise _UnusableError(
                f"{match[0][:40]} is no variable; write ${{NAME}}, or $${{ for the characters themselves"
            )
        value = environ.get(inside[1]) or inside[2]
        if value is None:
            raise _UnusableError(f"the environment has no variable {inside[1]}")
        return value

    return _REFERENCE.sub(replace, text)
