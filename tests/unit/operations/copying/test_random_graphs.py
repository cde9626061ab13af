"""Random layouts against a walk of their own: what is said to be there is, whatever was damaged before."""

from pathlib import Path
from typing import Any

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import LayoutliftError
from tasks.operations.reports.results import Depth
from tasks.operations.source.source_graph import SourceGraph
from tasks.operations.work.planning import CopyPolicy
from tasks.operations.work.spare_hands import SpareHands
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.engine import Engine
from tests.support.layouts import REF_NAME
from tests.support.memory_stores import MemoryTarget
from tests.support.random_layout import BLOB, RandomLayout, missing, unlisted

SEEDS = (0, 4, 7, 12, 24, 38, 39, 44, 47, 53, 59)
"""Those of the first sixty that found a mistake once."""


@pytest.fixture(params=SEEDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> RandomLayout:
    return RandomLayout(tmp_path / "app", request.param)


def engine(made: RandomLayout, target: MemoryTarget, depth: Depth = Depth.MANIFEST) -> Engine:
    return Engine(made.layout.path.parent, target, CopyPolicy(depth=depth))


def went_well(run: Engine) -> bool:
    """Whether all is there, and nothing is said but that some of it came to what was there before."""
    results, findings = run.copy()
    return set(results.values()) <= {"copied", "up_to_date"} and findings <= {("app", "referrers_copied")}


@pytest.mark.parametrize("api", [True, False])
def test_a_run_that_went_well_has_left_nothing_behind(made: RandomLayout, api: bool) -> None:
    target = MemoryTarget(referrers_api=api)
    if not went_well(engine(made, target)):
        assert api, "only an API may leave out members of a list that have no such subject"
        return
    assert missing(target, made.wanted) == set()
    assert api or unlisted(target, made) == set()


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
