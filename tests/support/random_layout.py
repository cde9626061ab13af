"""Random layouts, and a walk of their own over what a pull of them needs.

One thing may be a layer, a platform, a referrer and a tag at once here; that is lawful, and where walks go wrong.
"""

import json
import random
from pathlib import Path
from typing import Any

from tasks.oci.digest import Digest
from tasks.oci.reference import referrers_tag
from tests.support.layouts import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    REF_NAME,
    LayoutBuilder,
)
from tests.support.memory_stores import MemoryTarget

IMAGES, INDEXES = (OCI_MANIFEST, DOCKER_MANIFEST), (OCI_INDEX, DOCKER_LIST)
BLOB = "blob"
Node = dict[str, Any]
Parts = set[tuple[str, str]]
"""Digest and type, or `BLOB`."""


class RandomLayout:
    """A layout made of a seed; `bodies` are its manifests, `tagged` what its tags and lists hold."""

    def __init__(self, path: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.layout = LayoutBuilder(path)
        self.bodies: dict[str, Node] = {}
        self._blobs = [self.layout.blob(bytes([number]) * 3) for number in range(4)]
        self._nodes: list[Node] = []
        for number in range(self.random.randint(2, 9)):
            self._nodes.append(self._node(number))
        for number, node in enumerate(self._nodes):
            chance = self.random.random()
            if chance < 0.7 or number == 0:
                self.layout.entry(node, f"t{number}" if chance < 0.4 or number == 0 else None)
        if self.random.random() < 0.3:
            members = self._some(self._nodes, 3)
            subject = Digest(self.random.choice(self._nodes)["digest"])
            self.layout.entry(self._store({"manifests": members}, OCI_INDEX), referrers_tag(subject))
        self.layout.write()

    def _store(self, body: Node, media_type: str) -> Node:
        body = {"schemaVersion": 2, "mediaType": media_type, **body}
        stored = self.layout.blob(json.dumps(body).encode(), media_type)
        self.bodies[stored["digest"]] = body
        return stored

    def _some(self, pool: list[Node], most: int) -> list[Node]:
        return [self.random.choice(pool) for _ in range(self.random.randint(0, most))] if pool else []

    def _node(self, number: int) -> Node:
        body: Node = {"annotations": {"number": str(number)}}
        if self._nodes and self.random.random() < 0.4:
            body["subject"] = self.random.choice(self._nodes)
        if self.random.random() < 0.6:
            body |= {"config": self._blobs[0], "layers": self._some(self._blobs + self._nodes, 3)}
            return self._store(body, self.random.choice(IMAGES))
        odd = {"mediaType": "application/vnd.example.unknown"}
        body["manifests"] = [
            each | (odd if self.random.random() < 0.2 else {}) for each in self._some(self._nodes, 4)
        ]
        return self._store(body, self.random.choice(INDEXES))

    def below(self, node: Node) -> Parts:
        """All that a pull of a manifest needs, by the plainest of walks."""
        media_type, body = node["mediaType"], self.bodies.get(node["digest"], {})
        if media_type in IMAGES:
            held = [(each["digest"], BLOB) for each in (body["config"], *body["layers"])]
            return {(node["digest"], media_type), *held}
        if media_type in INDEXES:
            return {(node["digest"], media_type)}.union(*map(self.below, body["manifests"]))
        return {(node["digest"], BLOB)}

    @property
    def tagged(self) -> dict[str, Parts]:
        """What is needed for each tag; for a list of referrers, its members."""
        entries = {entry["annotations"][REF_NAME]: entry for entry in self.layout.entries if entry.get("annotations")}
        return {
            tag: set[tuple[str, str]]().union(*map(self.below, self.bodies[entry["digest"]]["manifests"]))
            if tag.startswith("sha256-")
            else self.below(entry)
            for tag, entry in entries.items()
        }

    @property
    def wanted(self) -> Parts:
        """What is needed for all tags, and for what refers to it, at any depth."""
        wanted = set[tuple[str, str]]().union(*self.tagged.values())
        before = -1
        while len(wanted) > before:
            before = len(wanted)
            subjects = {digest for digest, kind in wanted if kind != BLOB}
            for entry in self.layout.entries:
                if self.bodies[entry["digest"]].get("subject", {}).get("digest") in subjects:
                    wanted |= self.below(entry)
        return wanted


def missing(target: MemoryTarget, parts: Parts, repository: str = "app") -> Parts:
    """What of these a target in memory does not have."""
    stored = target._asked(repository)
    return {
        (digest, kind) for digest, kind in parts if digest not in (stored.blobs if kind == BLOB else stored.manifests)
    }


def unlisted(target: MemoryTarget, layout: RandomLayout, repository: str = "app") -> set[str]:
    """What of the wanted refers to something and is not in the list that the target keeps under a tag for that."""
    stored, found = target._asked(repository), set()
    for digest, kind in layout.wanted:
        subject = None if kind == BLOB else layout.bodies[digest].get("subject")
        if subject is not None:
            kept = stored.manifests[stored.tags[referrers_tag(Digest(subject["digest"]))]]
            found |= {digest} - {each.digest for each in kept.manifests}
    return found
