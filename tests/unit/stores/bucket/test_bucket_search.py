"""A listing of keys shows the same layouts and stray files as a walk through the same tree on a disk."""

import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.ports import Finding
from tasks.stores.bucket.bucket_search import KeySearch
from tasks.stores.directory.layout_search import find_layouts

NAMES = ["a", "b b", "été", "-", "a.b", "blobs", "ingest", ".uploads", "sha256", "oci-layout", "index.json", "日本"]
NAMES += [".sync", "0b9c7a52-1111-4222-8333-444455556666"]
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5)


def found(*keys: str, prefix: str = "", shuffled: int | None = None) -> list[str | Finding]:
    search = KeySearch(prefix)
    listed = [(f"{prefix}{key}", f"etag of {key}") for key in keys]
    if shuffled is not None:
        random.Random(shuffled).shuffle(listed)
    for key, etag in listed:
        search.add(key, (etag, 1))
    return list(search.layouts())


def on_disk(root: str, keys: list[str]) -> list[str | Finding]:
    for key in keys:
        path = Path(root, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return list(find_layouts(root, lambda path: list(os.scandir(f"{root}/{path}"))))


def without_collisions(paths: list[list[str]]) -> list[str]:
    """A file system can't have a file and a folder of one name."""
    folders = {"/".join(path[:end]) for path in paths for end in range(1, len(path))}
    return sorted({"/".join(path) for path in paths} - folders)


@settings(deadline=None, max_examples=150)
@given(st.lists(PATHS, max_size=12), st.sampled_from(["", "team/"]), st.integers(0, 9))
def test_it_finds_what_a_walk_finds(paths: list[list[str]], prefix: str, order: int) -> None:
    keys = without_collisions(paths)
    with tempfile.TemporaryDirectory() as root:
        assert found(*keys, prefix=prefix, shuffled=order) == on_disk(root, keys)


def test_a_key_with_a_slash_at_its_end_is_a_folder_and_no_file() -> None:
    assert found("", "empty/", "app/", "app/blobs/", "app/index.json", "app/oci-layout") == ["app"]


@pytest.mark.parametrize(
    ("key", "stem", "shown"),
    [
        ("a//app/index.json", "a/", "a//"),  # the good keys of `a` begin with `a/`, too
        ("/app/index.json", "", "/"),
        ("../app/oci-layout", "..", ".."),
        ("a/./index.json", "a/.", "a/."),
        ("a/..", "a/..", "a/.."),
    ],
)
def test_a_key_that_is_no_path_is_told_and_never_read(key: str, stem: str, shown: str) -> None:
    good, finding = found("app/index.json", key)
    assert good == "app"
    assert isinstance(finding, Finding)
    assert finding.path == stem
    assert f"begin with {shown!r}, " in finding.message
    assert finding.code == ("unusable_key" if key.endswith(("index.json", "oci-layout")) else "not_a_layout")


def test_many_keys_that_are_no_paths_are_one_finding() -> None:
    (finding,) = found(*(f"a//blobs/sha256/{number}" for number in range(100)))
    assert isinstance(finding, Finding)
    assert finding.message.startswith("100 keys")


def test_what_is_kept_does_not_grow_with_the_blobs_of_a_layout() -> None:
    search = KeySearch("")
    for number in range(10_000):
        search.add(f"app/blobs/sha256/{number:064}", ("", 1))
    assert sum(len(folder.names) for folder in search._folders.values()) <= 3
    search.add("app/index.json", ("", 1))
    assert list(search.layouts()) == ["app"]
