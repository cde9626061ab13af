"""Makes values of YAML, and does not take long over text that is made to."""

from __future__ import annotations

from typing import Any

import yaml

MOST_MERGED = 100_000
"""Values that merges (`<<`) bring into a file: each is copied, and with ten merges of ten merges so are millions."""
_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})


class Loader(yaml.SafeLoader):
    """Says where a value is that looks like a date or number and is none; PyYAML raises whatever Python does.

    Numbers to the base of 60, as 1:30, are none, as in YAML 1.2: PyYAML takes minutes for long ones.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._merged = 0

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """The tag of a node that has none written."""
        tag: str = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        return _TEXT if tag in _NUMBERS and ":" in value else tag

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's form
        """The value of a node."""
        if node.tag in _NUMBERS and ":" in node.value:
            raise _wrong(node)
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError):
            raise _wrong(node) from None

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what a mapping merges into it.

        What those mappings merge themselves comes first, so that all values are counted.
        """
        merged = [mapping for key, value in node.value if key.tag == _MERGE for mapping in _mappings(value)]
        for mapping in {id(each): each for each in merged}.values():
            self.flatten_mapping(mapping)
        self._merged += sum(len(mapping.value) for mapping in merged)
        if self._merged > MOST_MERGED:
            wrong = f"merges (<<) bring more than {MOST_MERGED:,} values into this file"
            raise yaml.constructor.ConstructorError(None, None, wrong, node.start_mark)
        super().flatten_mapping(node)


def _mappings(value: yaml.Node) -> list[yaml.MappingNode]:
    each = value.value if isinstance(value, yaml.SequenceNode) else [value]
    return [mapping for mapping in each if isinstance(mapping, yaml.MappingNode)]


def _wrong(node: yaml.Node) -> yaml.constructor.ConstructorError:
    wrong = f"{str(node.value)[:40]!r} is no {node.tag.rpartition(':')[2]}"
    return yaml.constructor.ConstructorError(None, None, wrong, node.start_mark)
