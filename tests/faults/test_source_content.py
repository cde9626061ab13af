"""Broken and hostile sources on a plain disk: each good tag arrives, each bad one is named, nothing breaks out."""

import json
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import Registry
from tests.support.command import Ended, Layoutlift
from tests.support.fault_proxy import FaultProxy
from tests.support.layouts import OCI_INDEX, OCI_LAYER, OCI_MANIFEST, LayoutBuilder, image_of, random_bytes
from tests.support.registry_view import RepositoryView

Lift = Callable[..., Ended]
LAYER = random_bytes(5, 5000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A good repository, that must arrive whatever else there is."""
    good = LayoutBuilder(tmp_path / "source" / "good")
    good.image("v1", layers=[random_bytes(1, 3000)])
    good.write()
    return tmp_path / "source"


@pytest.fixture
def bad(source: Path) -> LayoutBuilder:
    return LayoutBuilder(source / "bad")


@pytest.fixture
def lift(layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str) -> Lift:
    """Migrate; the good repository is there afterwards."""

    def run(code: int = 1) -> Ended:
        ended = layoutlift.migrate(source, f"{docker_registry.host}/{prefix}", code=code)
        assert ended.outcomes["good:v1"] == "copied"
        assert RepositoryView(docker_registry, f"{prefix}/good").tags == {"v1"}
        return ended

    return run


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "invalid_layout"),
        (b'{"schemaVersion":2,"manifests":[{"mediaTy', "invalid_layout"),
        (b"<html>503</html>", "invalid_layout"),
        (b'{"schemaVersion":1,"manifests":[]}', "invalid_layout"),
        (b'{"schemaVersion":2}', "invalid_layout"),
        (b"[" * 100_000, "invalid_layout"),
        (b"\0" * 4096, "invalid_layout"),
    ],
    ids=["empty", "cut", "html", "schema", "none", "nested", "nul"],
)
def test_an_index_that_can_not_be_read_is_a_finding_and_hides_no_other(
    lift: Lift, bad: LayoutBuilder, raw: bytes, code: str
) -> None:
    bad.image("v1", layers=[LAYER])
    (bad.write() / "index.json").write_bytes(raw)
    assert lift().findings == {("bad", code)}


@pytest.mark.parametrize(
    "change",
    [
        {"size": -1},
        {"size": 2**70},
        {"size": None},
        {"size": "12"},
        {"digest": None},
        {"digest": "sha256:../../../../etc/passwd"},
        {"digest": "md5:d41d8cd98f00b204e9800998ecf8427e"},
        {"mediaType": None},
        {"annotations": {"org.opencontainers.image.ref.name": 7}},
    ],
    ids=str,
)
def test_an_entry_that_can_not_be_read_costs_no_other_entry(
    lift: Lift, bad: LayoutBuilder, change: dict[str, Any]
) -> None:
    bad.image("v1", layers=[LAYER])
    entry = bad.image("v2", layers=[LAYER[1:]])
    bad.entries[-1] = {k: v for k, v in {**bad.entries[-1], **change}.items() if v is not None}
    bad.write()
    ended = lift()
    assert entry
    assert ended.outcomes["bad:v1"] == "copied"
    assert ended.outcomes.get("bad:v2") != "copied"
    assert len(ended.report["tags"]) + len(ended.report["findings"]) >= 3


def test_a_tag_with_two_contents_is_refused_and_named(lift: Lift, bad: LayoutBuilder) -> None:
    bad.image("v1", layers=[LAYER])
    bad.image("v1", layers=[LAYER[1:]])
    bad.write()
    assert lift().outcomes["bad:v1"] == "tag_collision"


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda path: path.unlink(), "content_not_found"),
        (lambda path: path.write_bytes(LAYER[:-1]), "size_mismatch"),
        (lambda path: path.write_bytes(LAYER + b"x"), "size_mismatch"),
        (lambda path: path.write_bytes(b""), "size_mismatch"),
        (lambda path: path.write_bytes(bytes([LAYER[0] ^ 1]) + LAYER[1:]), "digest_mismatch"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), "outside_source"),
    ],
    ids=["missing", "short", "long", "empty", "flipped", "link"],
)
def test_a_layer_that_is_not_what_it_says_is_never_tagged(
    lift: Lift, bad: LayoutBuilder, docker_registry: Registry, prefix: str, harm: Callable[[Path], Any], code: str
) -> None:
    bad.image("v1", layers=[LAYER])
    harm(bad.blob_path(bad.blob(LAYER)))
    bad.image("v2", layers=[random_bytes(6, 100)])
    bad.write()
    ended = lift()
    assert ended.outcomes["bad:v1"] == code
    assert ended.outcomes["bad:v2"] == "copied"
    assert RepositoryView(docker_registry, f"{prefix}/bad").tags == {"v2"}


def test_a_placeholder_that_zot_left_is_filled_from_a_sibling(
    lift: Lift, bad: LayoutBuilder, source: Path, docker_registry: Registry, prefix: str
) -> None:
    bad.image("v1", layers=[LAYER])
    bad.blob_path(bad.blob(LAYER)).write_bytes(b"")
    bad.write()
    sibling = LayoutBuilder(source / "z" / "sibling")
    layer = sibling.blob(LAYER)
    sibling.write()
    assert lift(code=0).outcomes["bad:v1"] == "copied"
    assert RepositoryView(docker_registry, f"{prefix}/bad").blob(layer["digest"]) == LAYER


def test_a_descriptor_with_a_wrong_size_does_not_hide_a_sibling_from_those_that_are_right(
    lift: Lift, bad: LayoutBuilder, source: Path
) -> None:
    layer = bad.blob(LAYER)
    bad.blob_path(layer).write_bytes(b"")
    image_of(bad, "v0", [{**layer, "size": 1}])
    image_of(bad, "v1", [layer])
    bad.write()
    sibling = LayoutBuilder(source / "z" / "sibling")
    sibling.blob(LAYER)
    sibling.write()
    outcomes = lift().outcomes
    assert (outcomes["bad:v0"], outcomes["bad:v1"]) == ("size_mismatch", "copied")


def test_a_placeholder_without_a_sibling_is_reported_as_what_it_is(
    lift: Lift, bad: LayoutBuilder, layoutlift: Layoutlift, source: Path
) -> None:
    bad.image("v1", layers=[LAYER])
    bad.blob_path(bad.blob(LAYER)).write_bytes(b"")
    bad.write()
    (row,) = [row for row in lift().report["tags"] if row["error"]]
    assert "zot" in row["error"]["message"]
    assert layoutlift.check(source, code=1).outcomes["bad:v1"] == "size_mismatch"


def test_an_honest_empty_blob_is_copied(lift: Lift, bad: LayoutBuilder) -> None:
    bad.image("v1", layers=[b"", LAYER])
    bad.write()
    assert lift(code=0).outcomes["bad:v1"] == "copied"


@pytest.fixture
def foreign(bad: LayoutBuilder) -> LayoutBuilder:
    """An image with a layer that is to be had elsewhere only."""
    config = bad.blob(b"{}", "application/vnd.oci.image.config.v1+json")
    layer = {
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "digest": f"sha256:{sha256(b'elsewhere').hexdigest()}",
        "size": 9,
        "urls": ["https://example.invalid/layer"],
    }
    raw = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}
    bad.entry(bad.blob(json.dumps(raw).encode(), OCI_MANIFEST), "v1")
    bad.write()
    return bad


def test_a_foreign_layer_may_be_absent_where_the_target_allows_it(
    layoutlift: Layoutlift, zot_registry: Registry, foreign: LayoutBuilder, prefix: str
) -> None:
    ended = layoutlift.migrate(foreign.path.parent, f"{zot_registry.host}/{prefix}")
    assert ended.outcomes == {"bad:v1": "copied", "good:v1": "copied"}


def test_a_foreign_layer_that_the_target_does_not_allow_is_said_so_without_waiting(
    layoutlift: Layoutlift, proxy: FaultProxy, foreign: LayoutBuilder, prefix: str
) -> None:
    """Distribution answers 500, as if it were broken for the moment."""
    ended = layoutlift.migrate(foreign.path.parent, f"{proxy.host}/{prefix}", code=1)
    assert ended.outcomes == {"bad:v1": "missing_referenced_content", "good:v1": "copied"}
    refused = [seen.status for seen in proxy.asked("PUT", f"/v2/{prefix}/bad/manifests/.*")]
    assert "validation.manifests.urls.allow" in ended.output, "its answer says only that a blob is unknown"
    assert refused == [500, 500], "once more after its blobs were looked for, and not as what may pass is"


def test_a_manifest_over_four_mebibytes_is_refused_by_name(lift: Lift, bad: LayoutBuilder) -> None:
    bad.image("v1", layers=[LAYER], annotations={"x": "y" * (4 * 1024 * 1024)})
    bad.entries[-1].pop("annotations")
    bad.entry(bad.entries.pop(), "v1")
    bad.write()
    assert lift().outcomes["bad:v1"] == "invalid_manifest"


@pytest.mark.parametrize("levels", [33, 10_000])
def test_indexes_nested_without_end_are_refused(lift: Lift, bad: LayoutBuilder, levels: int) -> None:
    child = bad.image(layers=[LAYER], listed=False)
    for _ in range(levels):
        child = bad.index([child], listed=False)
    bad.entry(child, "deep")
    bad.image("v1", layers=[LAYER])
    bad.write()
    ended = lift()
    assert ended.outcomes["bad:deep"] == "nesting_too_deep"
    assert ended.outcomes["bad:v1"] == "copied"


def test_a_circle_of_manifests_is_impossible_and_a_claimed_one_ends(lift: Lift, bad: LayoutBuilder) -> None:
    """A digest can't be in what it is the digest of; an index that says so has a child with other bytes."""
    digest = f"sha256:{'a' * 64}"
    raw = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [{"mediaType": OCI_INDEX, "digest": digest, "size": 300}],
        }
    ).encode()
    raw += b" " * (300 - len(raw))
    folder = bad.path / "blobs" / "sha256"
    folder.mkdir(parents=True)
    (folder / ("a" * 64)).write_bytes(raw)
    bad.entry({"mediaType": OCI_INDEX, "digest": digest, "size": 300}, "circle")
    bad.write()
    assert lift().outcomes["bad:circle"] == "digest_mismatch"


def test_names_in_a_hostile_source_do_not_reach_the_terminal(lift: Lift, source: Path, bad: LayoutBuilder) -> None:
    bad.entry({"mediaType": OCI_LAYER, "digest": "no", "size": 1}, "\x1b]0;owned\x07\x1b[2J")
    bad.write()
    evil = source / "\x1b[31mred\x1b[0m"
    evil.mkdir()
    (evil / "x").write_text("x")
    ended = lift()
    assert "\x1b" not in ended.output
    assert "\x07" not in ended.output


def test_an_index_that_is_replaced_while_it_is_read_gives_the_old_tags_or_the_new(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, bad: LayoutBuilder, prefix: str
) -> None:
    first = bad.image("v1", layers=[LAYER])
    second = bad.image(layers=[LAYER[1:]], listed=False)
    path = bad.write() / "index.json"
    versions = []
    for descriptor in (first, second):
        bad.entries.clear()
        for number in range(300):
            bad.entry(descriptor, f"v{number}")
        bad.write()
        versions.append(path.read_bytes())
    ended = threading.Event()

    def replace() -> None:
        turn = 0
        while not ended.is_set():
            turn += 1
            unfinished = path.with_suffix(".tmp")
            unfinished.write_bytes(versions[turn % 2])
            unfinished.replace(path)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        migrated = layoutlift.migrate(source, f"{docker_registry.host}/{prefix}")
    finally:
        ended.set()
        writer.join()
    digests = {row["digest"] for row in migrated.report["tags"] if row["repository"] == "bad"}
    assert digests in ({first["digest"]}, {second["digest"]})
