"""Lifts sources in memory, and checks what a target holds without any code that is under test there."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.oci.errors import LayoutliftError
from tasks.operations.copying.copy_graph import RepositoryCopy
from tasks.operations.copying.copy_tools import CopyTools
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.work.spare_hands import SpareHands
from tests.support.layouts import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, LayoutBuilder
from tests.support.memory_stores import MemorySource, MemoryTarget

MANIFEST_TYPES = frozenset({OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST})
"""What an index may have as children; anything else in it is content like a layer."""


def files_of_tree(layers: Sequence[bytes]) -> dict[str, bytes]:
    """The files of one layout with an image, an index over two, and a referrer."""
    with TemporaryDirectory() as folder:
        builder = LayoutBuilder(Path(folder) / "app-0")
        image = builder.image("v0", layers=layers)
        other = builder.image(layers=[b"other"], listed=False)
        builder.index([image, other], "multi")
        builder.referrer(image)
        builder.write()
        root = Path(folder)
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def closure_is_complete(target: MemoryTarget, repository: str, tag: str) -> bool:
    """Whether everything below a tag is there and hashes to its digest."""
    stored = target._asked(repository)
    manifests = {str(digest): manifest.raw for digest, manifest in stored.manifests.items()}
    blobs = {str(digest): raw for digest, raw in stored.blobs.items()}
    pending, wanted = [str(stored.tags[tag])], []
    while pending:
        digest = pending.pop()
        if not _is_whole(manifests.get(digest), digest):
            return False
        body = json.loads(manifests[digest])
        for child in body.get("manifests") or []:
            (pending if child["mediaType"] in MANIFEST_TYPES else wanted).append(child["digest"])
        wanted += [each["digest"] for each in (body.get("layers") or []) + (body.get("blobs") or [])]
        wanted += [body["config"]["digest"]] if "config" in body else []
    return all(_is_whole(blobs.get(digest), digest) for digest in wanted)


def _is_whole(raw: bytes | None, digest: str) -> bool:
    algorithm, _, encoded = digest.partition(":")
    return raw is not None and hashlib.new(algorithm, raw).hexdigest() == encoded


def lift_all(source: MemorySource, target: MemoryTarget) -> list[LayoutliftError]:
    """Copy every tag of every layout; what went wrong, which may be errors of ours only."""
    errors: list[LayoutliftError] = []
    hands = SpareHands(1)
    tools = CopyTools(source, target, hands, lambda content: content, lambda _: None)
    for path in source.list_layouts():
        try:
            inventory = enumerate_repository(source, str(path))
        except LayoutliftError as error:
            errors.append(error)
            continue
        copy = RepositoryCopy(tools, inventory, str(path), new=True, referrers=True, opened=False)
        for entry in inventory.tags:
            try:
                copy.copy(entry.descriptor, [entry.tag or ""], lambda _: True, patient=False)
            except LayoutliftError as error:
                errors.append(error)
    hands.close()
    return errors
