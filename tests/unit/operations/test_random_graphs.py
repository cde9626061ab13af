"""Random layouts against a walk of their own: what is said to be there is, whatever was damaged before.

One thing may be a layer, a platform, a referrer and a tag at once here; that is lawful, and where walks go wrong.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import LayoutliftError
from tasks.oci.reference import referrers_tag
from tasks.operations.planning import CopyPolicy
from tasks.operations.results import Depth
from tasks.operations.source_graph import SourceGraph
from tasks.operations.spare_hands import SpareHands
from tasks.stores.layout_directory import LayoutDirectory
from tasks.stores.memory import MemoryTarget
from tests.support.engine import Engine
from tests.support.layouts import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    REF_NAME,
    LayoutBuilder,
)

SEEDS = (0, 4, 7, 12, 24, 38, 39, 44, 47, 53, 59)
"""Those of the first sixty that found a mistake once."""
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


@pytest.fixture(params=SEEDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> RandomLayout:
    return RandomLayout(tmp_path / "app", request.param)


def at_once(source: LayoutDirectory) -> LayoutDirectory:
    """The same source, that waits for no mount."""
    return LayoutDirectory(source.root, retry_wait=0.0001)


def engine(made: RandomLayout, target: MemoryTarget, depth: Depth = Depth.MANIFEST) -> Engine:
    return Engine(made.layout.path.parent, target, CopyPolicy(depth=depth), wrap=at_once)


def went_well(run: Engine) -> bool:
    results, findings = run.copy()
    return set(results.values()) <= {"copied", "up_to_date"} and not findings


def missing(target: MemoryTarget, parts: Parts) -> Parts:
    stored = target._asked("app")
    return {
        (digest, kind) for digest, kind in parts if digest not in (stored.blobs if kind == BLOB else stored.manifests)
    }


@pytest.mark.parametrize("api", [True, False])
def test_a_run_that_went_well_has_left_nothing_behind(made: RandomLayout, api: bool) -> None:
    target = MemoryTarget(referrers_api=api)
    if not went_well(engine(made, target)):
        assert api, "only an API may leave out members of a list that have no such subject"
        return
    assert missing(target, made.wanted) == set()
    stored = target._asked("app")
    for digest, kind in made.wanted:
        subject = None if kind == BLOB else made.bodies[digest].get("subject")
        if subject is not None and not api:
            kept = stored.manifests[stored.tags[referrers_tag(Digest(subject["digest"]))]]
            assert digest in {each.digest for each in kept.manifests}


@pytest.mark.parametrize("depth", [Depth.MANIFEST, Depth.BLOBS])
def test_a_part_that_was_deleted_at_the_target_is_mended(made: RandomLayout, depth: Depth) -> None:
    target = MemoryTarget(referrers_api=False)
    assert went_well(engine(made, target))
    kinds = [part for part in sorted(made.wanted) if depth is not Depth.MANIFEST or part[1] != BLOB]
    digest, kind = made.random.choice(kinds)
    stored = target._asked("app")
    del (stored.blobs if kind == BLOB else stored.manifests)[Digest(digest)]
    assert went_well(engine(made, target, depth))
    assert missing(target, made.wanted) == set()


@pytest.mark.parametrize("damage", [None, lambda raw: raw[:-1], lambda raw: bytes([raw[0] ^ 1]) + raw[1:]])
def test_what_is_damaged_at_the_source_is_found_and_never_tagged(
    made: RandomLayout, hands: SpareHands, damage: Any
) -> None:
    file = made.random.choice(sorted((made.layout.path / "blobs" / "sha256").iterdir()))
    raw, victim = file.read_bytes(), f"sha256:{file.name}"
    file.unlink() if damage is None else file.write_bytes(damage(raw))
    source = LayoutDirectory(made.layout.path.parent, retry_wait=0.0001)
    target = MemoryTarget(referrers_api=False)
    run = engine(made, target)
    well = went_well(run)
    assert not well or victim not in {digest for digest, _ in made.wanted}
    for entry in made.layout.entries:
        tag = (entry.get("annotations") or {}).get(REF_NAME)
        if tag is None or tag.startswith("sha256-"):
            continue
        needs_it = victim in {digest for digest, _ in made.below(entry)}
        assert needs_it is (tag not in target._asked("app").tags)
        root = Descriptor(entry["mediaType"], Digest(entry["digest"]), entry["size"])
        try:
            SourceGraph(source, "app", Depth.CONTENT, hands).check(root)
        except LayoutliftError:
            assert needs_it
        else:
            assert not needs_it
    file.write_bytes(raw)
    assert went_well(run)
    assert missing(target, made.wanted) == set()
