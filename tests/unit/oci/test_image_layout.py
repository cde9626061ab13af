"""The files of a layout: one broken entry never costs the good ones beside it."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.oci import image_layout
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidLayoutError, SpecError
from tasks.oci.image_layout import (
    LayoutIndex,
    blob_path,
    check_marker,
    decode_index,
    digest_of_path,
    digests_by_tag,
    parse_index,
    tags_named,
)
from tasks.oci.json_stream import MOST_AT_ONCE
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.oci.reference import IMAGE_NAME, REF_NAME
from tests.support.nesting import lists_about_as_deep_as_can_be_read
from tests.support.oci_strategies import (
    HOSTILE_DIGESTS,
    descriptors,
    digests,
    json_values,
    nearly_descriptors,
    sha256,
)

ENTRY = {"mediaType": "application/x", "digest": sha256(b"x"), "size": 1}


def index(entries: object, **more: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": entries, **more}).encode()


@given(st.lists(descriptors, max_size=5))
def test_every_entry_is_read_in_order(entries: list[Descriptor]) -> None:
    read = parse_index(index([entry.to_json() for entry in entries], annotations={}, unknown=1))
    assert read.entries == tuple(entries)
    assert read.broken == ()


@given(st.lists(nearly_descriptors(), max_size=5))
def test_every_entry_is_either_good_or_named_as_broken(entries: list[object]) -> None:
    read = parse_index(index(entries))
    assert len(read.entries) + len(read.broken) == len(entries)


@pytest.mark.parametrize("digest", HOSTILE_DIGESTS)
def test_a_broken_entry_is_named_by_place_and_tag(digest: str) -> None:
    hostile = {**ENTRY, "digest": digest, "annotations": {REF_NAME: "v1"}}
    read = parse_index(index([ENTRY, hostile, ENTRY]))
    assert len(read.entries) == 2
    (broken,) = read.broken
    assert (broken.place, broken.ref_name, broken.code) == (1, "v1", "invalid_digest")
    assert "manifests[1]" in broken.message


def test_an_entry_whose_name_no_screen_holds_is_broken_and_not_repeated() -> None:
    """Neither as a tag that is refused, nor in what is said of it."""
    named = [{**ENTRY, "annotations": {REF_NAME: name}} for name in ("x" * 4096, " " * 4096, "x y" * 2000)]
    typed = {**ENTRY, "mediaType": "a/" + "b" * 254, "annotations": {REF_NAME: "x y" * 2000}}
    read = parse_index(index([*named, typed, {**ENTRY, "mediaType": "a/" + "b" * 253}]))
    assert len(read.entries) == 3
    assert [(broken.place, broken.ref_name) for broken in read.broken] == [(2, None), (3, None)]
    assert all(len(broken.message) < 200 for broken in read.broken)


def test_more_broken_entries_than_any_writer_leaves_are_no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is named by some hundred bytes, and may itself have two."""
    monkeypatch.setattr(image_layout, "MOST_BROKEN", 10)
    assert len(parse_index(index([0] * 10 + [ENTRY])).broken) == 10
    with pytest.raises(InvalidLayoutError, match="more than 10 entries"):
        parse_index(index([0] * 11 + [ENTRY]))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" \n",
        b"\0" * 100,
        b"{",
        b"[]",
        b"{}",
        b"null",
        b"[" * 100_000,
        b"\xff",
        index({}),
        index("none"),
        index(None, Manifests=[ENTRY]),
        b'{"schemaVersion":2}',
        index([], schemaVersion=1),
        index([], schemaVersion="2"),
        index([], Manifests=[ENTRY]),  # which clients in Go read
    ],
    ids=repr,
)
def test_an_index_that_can_not_be_understood_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidLayoutError, match=r"index\.json"):
        parse_index(raw)


@pytest.mark.parametrize("raw", [b"", b" \n", b"\0" * 100])
def test_an_empty_file_is_told_from_one_that_is_no_json(raw: bytes) -> None:
    for read in (parse_index, check_marker):
        with pytest.raises(InvalidLayoutError, match="is empty"):
            read(raw)


@pytest.mark.parametrize("raw", [b'{"a":' + b"[" * 100_000, b'{"manifests":[' + b"[" * 100_000])
def test_an_index_that_is_nested_without_end_is_refused(raw: bytes) -> None:
    for read in (parse_index, check_marker):
        with pytest.raises(InvalidLayoutError, match="is not JSON"):
            read(raw)


def test_what_is_nested_as_deep_as_can_just_be_read_is_refused_as_anything_else() -> None:
    """A message that repeats it may have to go deeper still, as the interpreter counts."""
    told = r"not '?list|is not JSON"
    for nested in lists_about_as_deep_as_can_be_read():
        with pytest.raises(InvalidLayoutError, match=told):
            parse_index(f'{{"manifests":[],"schemaVersion":{nested}}}'.encode())
        with pytest.raises(InvalidLayoutError, match=told):
            check_marker(f'{{"imageLayoutVersion":{nested}}}'.encode())


def test_an_entry_that_is_too_large_is_called_so() -> None:
    """Its owner would look in vain for what is wrong with the JSON."""
    large = {**ENTRY, "annotations": {"a": "x" * MOST_AT_ONCE}}
    with pytest.raises(InvalidLayoutError, match=r"^index\.json: manifests\[1\] is longer than 4194304 characters"):
        parse_index(index([ENTRY, large, ENTRY]))


def test_nothing_may_follow_an_index() -> None:
    with pytest.raises(InvalidLayoutError, match="is not JSON"):
        parse_index(index([ENTRY]) + b"{}")


def test_zero_bytes_at_the_end_take_no_more_where_a_tag_has_letters_from_far_away() -> None:
    """In memory each character of a text is as long as the longest one, up to four bytes."""
    tagged = {**ENTRY, "annotations": {REF_NAME: "\U0001f600"}}
    raw = json.dumps({"schemaVersion": 2, "manifests": [tagged]}, ensure_ascii=False).encode()
    raw = raw + b"\n" + b"\0" * 8 * 1024 * 1024 + b"\n"
    tracemalloc.start()
    try:
        text = decode_index(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1024 * 1024
    assert text.endswith("]}\n")
    assert [entry.annotations for entry in parse_index(raw).entries] == [tagged["annotations"]]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]
)
def test_zero_bytes_at_the_end_of_an_index_in_any_encoding_change_nothing(encoding: str) -> None:
    raw = index([ENTRY]).decode().encode(encoding)
    assert parse_index(raw + b"\0" * 64) == parse_index(raw)
    assert len(parse_index(raw).entries) == 1


def test_a_zero_byte_within_an_index_is_no_end() -> None:
    with pytest.raises(InvalidLayoutError, match="is not JSON"):
        parse_index(index([ENTRY]) + b"\0}")


def test_a_name_that_is_no_text_is_none() -> None:
    (broken,) = parse_index(index([{**ENTRY, "annotations": {REF_NAME: 1}}])).broken
    assert broken.ref_name is None


@pytest.mark.parametrize("nothing", [[], None])
def test_an_index_may_be_empty(nothing: list[object] | None) -> None:
    """Null is how the ORAS CLI writes it when it has deleted the last manifest."""
    assert parse_index(index(nothing)) == LayoutIndex((), ())


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "1"])
def test_versions_of_the_first_layout_are_taken(version: str) -> None:
    check_marker(json.dumps({"imageLayoutVersion": version}).encode())


@pytest.mark.parametrize("marker", [{}, {"imageLayoutVersion": 1}, {"imageLayoutVersion": "2.0.0"}, [], "1.0.0"])
def test_other_markers_are_refused(marker: object) -> None:
    with pytest.raises(InvalidLayoutError, match="oci-layout"):
        check_marker(json.dumps(marker).encode())


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_writer_left_is_read_or_refused_by_our_own_exception(raw: bytes) -> None:
    for read in (parse_index, check_marker):
        try:
            read(raw)
        except SpecError:
            continue


@given(digests)
def test_a_blob_lies_below_its_layout(digest: Digest) -> None:
    assert blob_path(digest).split("/") == ["blobs", digest.algorithm, digest.encoded]


@given(digests, st.sampled_from(["", "app/", "blobs/app/", "blobs/sha256/"]))
def test_the_digest_of_a_blob_is_told_by_its_path_in_whatever_layout(digest: Digest, layout: str) -> None:
    path = f"{layout}{blob_path(digest)}"
    assert digest_of_path(path) == digest
    elsewhere = (f"{path}/part", path.replace("blobs", "blob"), f"{digest.algorithm}/{digest.encoded}", path[:-1], "")
    assert [other for other in elsewhere if digest_of_path(other) is not None] == []


def test_broken_entries_name_their_tags_or_hide_them() -> None:
    digest = Digest.of(b"x")
    good = {"mediaType": IMAGE_MANIFEST, "digest": digest, "size": 1, "annotations": {REF_NAME: "host/app:v1"}}
    broken = {"mediaType": IMAGE_MANIFEST, "digest": "none", "annotations": {REF_NAME: "v2"}}
    odd = {**good, "annotations": {REF_NAME: "not a tag!"}}
    untagged = {**good, "annotations": {}}
    pinned = f"1.25@{digest}"
    exported = {**good, "annotations": {REF_NAME: pinned, IMAGE_NAME: f"docker.io/library/app:{pinned}"}}
    assert tags_named(index([odd, untagged, good, broken, exported])) == {"v1", "v2", "1.25"}
    assert tags_named(index([good, {"digest": "none"}])) is None


def test_what_each_tag_of_an_index_names_is_known_only_where_every_entry_is_read() -> None:
    one, two = ({"mediaType": IMAGE_MANIFEST, "digest": Digest.of(each), "size": 1} for each in (b"1", b"2"))
    v1, v2 = ({"annotations": {REF_NAME: f"host/app:{tag}"}} for tag in ("v1", "v2"))
    odd = {**one, "annotations": {REF_NAME: "not a tag!"}}
    assert digests_by_tag(index([one | v1, one | v1, two | v2, odd, one])) == {
        "v1": Digest.of(b"1"),
        "v2": Digest.of(b"2"),
    }
    assert digests_by_tag(index([one | v1, two | v1])) is None
    assert digests_by_tag(index([one | v1, {"digest": "none"}])) is None
