"""How often a graph of a layout is looked at."""

from collections.abc import Container, Iterator

import pytest

from tasks.oci.digest import Digest
from tasks.operations.cleanup.layout.graph import Graph, Node


def counted_looks(monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    """The nodes whose needs are asked for from now on, each as often as it is."""
    looks: list[Node] = []
    really = Graph._needs

    def counted(self: Graph, node: Node, present: Container[Digest]) -> Iterator[Digest]:
        looks.append(node)
        return really(self, node, present)

    monkeypatch.setattr(Graph, "_needs", counted)
    return looks
