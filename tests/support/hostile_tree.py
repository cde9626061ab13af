"""The tree with all that lightweight registries really hold, and all that somebody could put there on purpose."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.layouts import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_LAYER,
    OCI_MANIFEST,
    REF_NAME,
    LayoutBuilder,
    image_of,
    random_bytes,
)

CANARY = b"canary: nothing outside the source may be read, let alone sent " * 20
HOSTILE_DIGESTS = ("sha256:../../../etc/passwd", "sha256:" + "A" * 64, "sha512:" + "a" * 64, "md5:" + "a" * 32)


@dataclass
class Tree:
    """A source under construction, and what is expected of it: codes of bad tags, target names of good ones."""

    root: Path
    outside: Path
    good: dict[str, str] = field(default_factory=dict)
    arrived: dict[str, str] = field(default_factory=dict)
    bad: dict[str, set[str]] = field(default_factory=dict)
    found: set[tuple[str, str]] = field(default_factory=set)

    def layout(self, path: str, target: str | None = None, *tags: str) -> LayoutBuilder:
        """A layout with a good image under each tag."""
        layout = LayoutBuilder(self.root / path)
        for tag in tags:
            self.expect(path, tag, layout.image(tag, layers=[f"{path}:{tag}".encode()]), target)
        return layout

    def expect(self, path: str, tag: str, descriptor: dict[str, Any], target: str | None = None) -> None:
        self.good[f"{path}:{tag}"] = "copied"
        self.arrived[f"{target or path}:{tag}"] = descriptor["digest"]

    def refuse(self, path: str, tag: str, *codes: str) -> None:
        self.bad[f"{path}:{tag}"] = set(codes)


def names(tree: Tree) -> None:
    for path, target in (
        *((nested, nested) for nested in ("team", "team/app", "team/app/web")),
        ("with space/and\ttab", "with-space/and-tab"),
        ("Grüße/Ümlaut", "grue/umlaut"),
        ("ALL/Capitals", "all/capitals"),
        ("dots.and_under--scores", "dots.and_under--scores"),
        ("newline\nin/it", "newline-in/it"),
    ):
        tree.layout(path, target, "v1", "latest").write()
    full = tree.layout("full-references")
    for name, tag in (("docker.io/library/x:1.2", "1.2"), ("localhost:5000/y:v3", "v3"), ("z:2.0@sha256:00", "2.0")):
        tree.expect("full-references", tag, full.image(name, layers=[name.encode()]))
    full.write()


def docker_types(tree: Tree) -> None:
    layout = tree.layout("docker")
    image = layout.image("single", layers=[b"docker"], media_type=DOCKER_MANIFEST)
    tree.expect("docker", "single", image)
    other = layout.image(layers=[b"docker, too"], media_type=DOCKER_MANIFEST, listed=False)
    children = [
        child | {"platform": {"os": "linux", "architecture": architecture}}
        for child, architecture in ((image, "amd64"), (other, "arm64"))
    ]
    tree.expect("docker", "list", layout.index(children, "list", media_type=DOCKER_LIST))
    layout.write()


def shapes(tree: Tree) -> None:
    layout = tree.layout("shapes")
    image = layout.image("one", layers=[b"shared"])
    for tag in ("one", "two", "three"):
        tree.expect("shapes", tag, image)
        layout.entry(image, tag)
    tree.expect("shapes", "empty-layers", layout.image("empty-layers", layers=[b"", b"x", b""]))
    tree.expect("shapes", "no-layers", layout.image("no-layers"))
    inner = layout.index([image], listed=False)
    tree.expect("shapes", "nested", layout.index([inner, image], "nested"))
    layout.write()


def altered_blobs(tree: Tree) -> None:
    path = "broken/bytes"  # zot leaves a repository called blobs out of its catalog
    layout = tree.layout(path, None, "good")
    for size, kind in ((40, "small"), (600_000, "large")):
        for seed, (what, breaks, code) in enumerate(
            (
                ("altered", lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "digest_mismatch"),
                ("short", lambda raw: raw[:-7], "size_mismatch"),
                ("long", lambda raw: raw + b"more", "size_mismatch"),
                ("missing", None, "content_not_found"),
            )
        ):
            content = random_bytes(seed, size)
            layer = layout.blob(content)
            image_of(layout, f"{what}-{kind}", [layer])
            break_file(layout.blob_path(layer), content, breaks)
            tree.refuse(path, f"{what}-{kind}", code)
    layer = layout.blob(b"its size is not what is said")
    image_of(layout, "lied-about", [layer | {"size": 5}])
    tree.refuse(path, "lied-about", "size_mismatch")
    layout.write()


def break_file(path: Path, content: bytes, breaks: Callable[[bytes], bytes] | None) -> None:
    if breaks is None:
        path.unlink()
    else:
        path.write_bytes(breaks(content))


def broken_manifests(tree: Tree) -> None:
    path = "broken/manifests"
    layout = tree.layout(path, None, "good")
    missing = layout.image("gone", layers=[b"gone"])
    layout.blob_path(missing).unlink()
    tree.refuse(path, "gone", "content_not_found")
    altered = layout.image("altered", layers=[b"altered manifest"])
    raw = layout.blob_path(altered).read_bytes()
    layout.blob_path(altered).write_bytes(raw.replace(b"amd64", b"arm64").replace(b"schemaVersion", b"schemaversion"))
    tree.refuse(path, "altered", "digest_mismatch")
    for tag, body in (("not-json", b"{"), ("a-list", b"[]"), ("deep", b"[" * 100_000), ("no-config", b"{}")):
        layout.entry(layout.blob(body, OCI_MANIFEST), tag)
        tree.refuse(path, tag, "invalid_manifest")
    layout.entry(layout.blob(b"just a blob", "text/plain"), "no-manifest")
    tree.refuse(path, "no-manifest", "unsupported_media_type")
    child = layout.image(layers=[b"child"], listed=False)
    layout.index([child], "lost-child")
    layout.blob_path(child).unlink()
    tree.refuse(path, "lost-child", "content_not_found")
    layout.write()


def hostile_digests(tree: Tree) -> None:
    path = "hostile/digests"
    layout = tree.layout(path, None, "good")
    for number, digest in enumerate(HOSTILE_DIGESTS):
        layout.entry({"mediaType": OCI_MANIFEST, "digest": digest, "size": 10}, f"entry-{number}")
        image_of(layout, f"layer-{number}", [{"mediaType": OCI_LAYER, "digest": digest, "size": 10}])
        tree.refuse(path, f"layer-{number}", "invalid_digest", "content_not_found")
        tree.refuse(path, f"entry-{number}", "invalid_digest", "content_not_found")
    layout.write()


def leaving_links(tree: Tree) -> None:
    """Blobs, a folder of blobs, an index and a whole layout that lie outside the source, good in themselves."""
    outside = LayoutBuilder(tree.outside / "layout")
    outside.image("secret", layers=[CANARY])
    outside.write()
    path = "hostile/links"
    layout = tree.layout(path, None, "good")
    canary = layout.blob(CANARY)
    image_of(layout, "link-to-file", [canary])
    layout.blob_path(canary).unlink()
    layout.blob_path(canary).symlink_to(outside.blob_path(canary))
    tree.refuse(path, "link-to-file", "outside_source")
    hostname = Path("/etc/hostname").read_bytes()
    link = layout.blob(hostname)
    image_of(layout, "link-to-hostname", [link])
    layout.blob_path(link).unlink()
    layout.blob_path(link).symlink_to("/etc/hostname")
    tree.refuse(path, "link-to-hostname", "outside_source")
    circle = layout.blob(b"round and round")
    image_of(layout, "circle", [circle])
    layout.blob_path(circle).unlink()
    layout.blob_path(circle).symlink_to(layout.blob_path(circle).name)
    tree.refuse(path, "circle", "outside_source")
    layout.write()

    whole = LayoutBuilder(tree.root / "hostile/blobs-outside")
    whole.entries = list(outside.entries)
    whole.write()
    (whole.path / "blobs").symlink_to(outside.path / "blobs")
    tree.refuse("hostile/blobs-outside", "secret", "outside_source")
    index = tree.root / "hostile/index-outside"
    index.mkdir()
    (index / "oci-layout").write_bytes((outside.path / "oci-layout").read_bytes())
    (index / "index.json").symlink_to(outside.path / "index.json")
    tree.found.add(("hostile/index-outside", "outside_source"))
    (tree.root / "hostile/layout-outside").symlink_to(outside.path)
    tree.found.add(("hostile/layout-outside", "outside_source"))
    (tree.root / "hostile/inside").symlink_to(tree.root / "team")
    tree.found.add(("hostile/inside", "link_not_followed"))


def broken_indexes(tree: Tree) -> None:
    whole = tree.layout("template", None, "v1").write() / "index.json"
    for name, raw in (
        ("empty", b""),
        ("cut", whole.read_bytes()[:-20]),
        ("not-json", b"<html></html>"),
        ("binary", b"\xff\xfe\x00"),
        ("wrong-schema", b'{"schemaVersion": 1, "manifests": []}'),
        ("no-list", b'{"schemaVersion": 2, "manifests": {}}'),
        ("a-number", b"7"),
        ("deep", b"[" * 200_000),
    ):
        path = f"broken/index/{name}"
        LayoutBuilder(tree.root / path).write()
        (tree.root / path / "index.json").write_bytes(raw)
        tree.found.add((path, "invalid_layout"))
    (LayoutBuilder(tree.root / "broken/index/none").write() / "index.json").unlink()
    (LayoutBuilder(tree.root / "broken/index/no-marker").write() / "oci-layout").unlink()
    tree.found |= {(f"broken/index/{name}", "invalid_layout") for name in ("none", "no-marker")}


def broken_entries(tree: Tree) -> None:
    path = "broken/entries"
    layout = tree.layout(path, None, "good")
    image = layout.image(layers=[b"layer"], listed=False)
    for tag, change in (
        ("size-missing", {"size": None}),
        ("size-negative", {"size": -1}),
        ("size-huge", {"size": 2**70}),
        ("size-text", {"size": "12"}),
        ("type-missing", {"mediaType": None}),
        ("digest-missing", {"digest": None}),
    ):
        broken = {name: value for name, value in (image | change).items() if value is not None}
        layout.entry(broken, tag)
        tree.refuse(path, tag, "invalid_descriptor", "invalid_digest")
    layout.entry(image | {"size": 2**40}, "size-large")
    tree.refuse(path, "size-large", "invalid_manifest", "size_mismatch")
    layout.entries += [None, 7, {"annotations": {REF_NAME: 7}}]  # type: ignore[list-item]
    layout.entry({"mediaType": OCI_MANIFEST}, "good")  # the other entry of this tag is whole
    layout.entry({"mediaType": OCI_MANIFEST}, "size-missing")
    tree.found |= {(path, "invalid_descriptor"), (path, "invalid_digest")}
    layout.write()


def collisions(tree: Tree) -> None:
    for path in ("Team App", "team-app"):
        layout = LayoutBuilder(tree.root / path)
        for tag in ("v1", "v1+bad"):
            layout.image(tag, layers=[path.encode()])
            tree.refuse(path, tag, "name_collision")
        layout.write()
        tree.found.add((path, "name_collision"))
    layout = tree.layout("collisions", None, "good")
    for content in (b"one", b"other"):
        layout.image("twice", layers=[content])
        layout.image("no+tag", layers=[content])
    tree.refuse("collisions", "twice", "tag_collision")
    tree.refuse("collisions", "no+tag", "invalid_reference")
    same = layout.image("same", layers=[b"same"])
    layout.entry(same, "docker.io/library/anything:same")
    tree.expect("collisions", "same", same)
    layout.write()


def invalid_names(tree: Tree) -> None:
    layout = tree.layout("tags", None, "good", "_ok.-", "x" * 128)
    for tag in ("v1+build", "", " ", "-dash", "x" * 129, "ümlaut", "a b", "new\nline", "\x1b[31mred"):
        layout.image(tag, layers=[tag.encode()])
        tree.refuse("tags", tag, "invalid_reference" if tag else "digest_only")
    layout.write()
    nameless = LayoutBuilder(tree.root / "漢字")
    nameless.image("v1", layers=[b"no ASCII in its name"])
    nameless.write()
    tree.refuse("漢字", "v1", "invalid_reference")
    tree.found.add(("漢字", "invalid_reference"))


def strays(tree: Tree) -> None:
    (tree.root / "notes").mkdir()
    (tree.root / "notes" / "README.txt").write_text("not a layout")
    (tree.root / "empty").mkdir()
    tree.found.add(("notes", "not_a_layout"))


PARTS = (
    *(names, docker_types, shapes, altered_blobs, broken_manifests, hostile_digests, leaving_links),
    *(broken_indexes, broken_entries, collisions, invalid_names, strays),
)


def build(folder: Path) -> Tree:
    built = Tree(folder / "source", folder / "outside")
    for part in PARTS:
        part(built)
    return built
