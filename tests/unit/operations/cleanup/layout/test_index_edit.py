"""An index is edited without touching what stays."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.oci.errors import InvalidLayoutError
from tasks.operations.cleanup.layout import index_edit
from tasks.operations.cleanup.layout.index_edit import edit_index, entry_json, not_removed, read_entry, written_as
from tests.support.oci_strategies import sha256

REF_NAME = "org.opencontainers.image.ref.name"


def entry(number: int, tag: str | None = None, **more: Any) -> dict[str, Any]:
    body = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": sha256(b"%d" % number),
        "size": number,
    }
    return {**body, **more, **({"annotations": {REF_NAME: tag}} if tag else {})}


ODD = """{
  "x-first": [1, {"manifests": []}],
  "manifests": [
    %s,
    %s ,
    %s
  ],
  "schemaVersion": 2.0e0,   "unknown": {"b": 1, "a": 1.50}
}
"""


def test_every_byte_of_what_stays_stays() -> None:
    first, second, third = (
        f'{{"size":1, "platform":{{"os":"a"}},"digest":"{sha256(b"%d" % n)}","mediaType":"a/b"}}' for n in range(3)
    )
    raw = (ODD % (first, second, third)).encode()
    edit = edit_index(raw, [read_entry(json.loads(second))], [])
    assert edit.removed == (json.loads(second),)
    assert edit.raw == raw.replace(f"{second} ,\n    ".encode(), b"")


def test_the_first_the_last_and_all_can_go() -> None:
    entries = [entry(number, f"v{number}") for number in range(3)]
    raw = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    for gone in ([0], [2], [0, 1], [1, 2], [0, 1, 2]):
        edit = edit_index(raw, [read_entry(entries[place]) for place in gone], [])
        assert json.loads(edit.raw)["manifests"] == [e for place, e in enumerate(entries) if place not in gone]


def test_only_the_exact_pair_of_tag_and_digest_goes() -> None:
    entries = [entry(1, "v1"), entry(1, "latest"), entry(1), entry(2, "v2")]
    raw = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    edit = edit_index(raw, [read_entry(entry(1, "v1")), read_entry(entry(3, "v2"))], [])
    assert json.loads(edit.raw)["manifests"] == entries[1:]


def test_an_entry_that_was_written_anew_since_stays_and_is_named() -> None:
    one, two = (
        {**entry(1), "annotations": {REF_NAME: "v1", "org.opencontainers.image.created": time}} for time in ("1", "2")
    )
    planned = [replace(read_entry(body), written=written_as(read_entry(body).descriptor)) for body in (one, two)]
    anew = {**two, "annotations": {**two["annotations"], "org.opencontainers.image.created": "3"}}
    raw = json.dumps({"schemaVersion": 2, "manifests": [one, anew]}).encode()
    edit = edit_index(raw, planned, [])
    assert json.loads(edit.raw)["manifests"] == [anew]
    left = not_removed(planned, map(read_entry, edit.removed))
    assert [entry.written for entry in left] == [planned[1].written]
    assert edit_index(raw, [read_entry(one)], []).removed == (one, anew), "where the plan does not say how it was"


def test_nothing_to_do_leaves_the_very_bytes() -> None:
    raw = b' {"schemaVersion":2,"manifests":[ ] }\n'
    edit = edit_index(raw, [read_entry(entry(1, "v1"))], [])
    assert (edit.raw, edit.changes) == (raw, False)


def test_entries_come_back_once_and_not_over_a_tag_that_moved() -> None:
    raw = json.dumps({"schemaVersion": 2, "manifests": [entry(1, "v1"), entry(2, "v2")]}).encode()
    edit = edit_index(raw, [], [entry(1, "v1"), entry(3, "v2"), entry(4, "v4"), entry(4, "v4"), entry(5, "v4")])
    assert edit.added == (entry(4, "v4"),)
    assert edit.taken == (read_entry(entry(3, "v2")), read_entry(entry(5, "v4")))
    assert json.loads(edit.raw)["manifests"] == [entry(1, "v1"), entry(2, "v2"), entry(4, "v4")]


def test_entries_that_stood_beside_each_other_under_one_tag_come_back_all() -> None:
    """Nobody but their writer can say which is right, so a whole repository goes with both, and comes back so."""
    both = (entry(1, "v1"), entry(2, "v1"))
    raw = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    assert edit_index(raw, [], both, stood_together=True).added == both
    taken = json.dumps({"schemaVersion": 2, "manifests": [entry(3, "v1")]}).encode()
    assert not edit_index(taken, [], both, stood_together=True).added


def test_a_tag_of_another_image_is_no_other_content_of_a_tag() -> None:
    """As `docker save` and containerd keep `latest` of many images in one layout."""
    one, two = (
        {**entry(number), "annotations": {REF_NAME: "latest", "io.containerd.image.name": f"docker.io/{name}:latest"}}
        for number, name in enumerate(("one", "two"))
    )
    raw = json.dumps({"schemaVersion": 2, "manifests": [two]}).encode()
    edit = edit_index(raw, [], [one])
    assert (edit.added, edit.taken) == ((one,), ())
    bare = json.dumps({"schemaVersion": 2, "manifests": [two, entry(3, "latest")]}).encode()
    assert edit_index(bare, [], [one]).taken == (read_entry(one),), "a writer who knows no names has moved the tag"


def pinned(number: int, name: str) -> dict[str, Any]:
    """An entry as containerd writes it where the reference of the image has a digest besides."""
    tag = f"1.25@{entry(number)['digest']}"
    notes = {REF_NAME: tag, "io.containerd.image.name": f"docker.io/{name}:{tag}"}
    return {**entry(number), "annotations": notes}


def test_a_tag_with_a_digest_behind_it_is_given_to_no_other_content() -> None:
    raw = json.dumps({"schemaVersion": 2, "manifests": [pinned(1, "one")]}).encode()
    for body, is_taken in ((entry(2, "1.25"), True), (pinned(2, "one"), True), (pinned(2, "two"), False)):
        assert edit_index(raw, [], [body]).taken == ((read_entry(body),) if is_taken else ())
    other = json.dumps({"schemaVersion": 2, "manifests": [entry(2, "1.25")]}).encode()
    assert edit_index(other, [], [pinned(1, "one")]).taken == (read_entry(pinned(1, "one")),)


def test_entries_that_differ_by_their_annotations_come_back_all_and_once() -> None:
    one, two = ({**entry(1), "annotations": {REF_NAME: "v1", "name": name}} for name in ("one", "two"))
    raw = json.dumps({"schemaVersion": 2, "manifests": [one, two, entry(2)]}).encode()
    gone = edit_index(raw, [read_entry(one)], [])
    assert gone.removed == (one, two)
    back = edit_index(gone.raw, [], [*gone.removed, *gone.removed])
    assert json.loads(back.raw)["manifests"] == [entry(2), one, two]
    assert not edit_index(back.raw, [], gone.removed).changes


def test_an_entry_does_not_come_back_beside_the_one_that_its_writer_wrote_anew() -> None:
    before, anew = ({**entry(1), "annotations": {REF_NAME: "v1", "name": name}} for name in ("before", "anew"))
    raw = json.dumps({"schemaVersion": 2, "manifests": [anew]}).encode()
    assert not edit_index(raw, [], [before]).changes


def test_one_that_was_written_anew_stands_for_one_that_left_and_for_no_other() -> None:
    one, two, anew = ({**entry(1), "annotations": {REF_NAME: "v1", "name": name}} for name in ("one", "two", "anew"))
    raw = json.dumps({"schemaVersion": 2, "manifests": [anew]}).encode()
    assert edit_index(raw, [], [one, two]).added == (two,)
    raw = json.dumps({"schemaVersion": 2, "manifests": [one]}).encode()
    assert edit_index(raw, [], [one, two]).added == (two,)


def test_in_which_order_a_writer_has_the_members_of_an_entry_makes_no_other_of_it() -> None:
    body = {**entry(1), "annotations": {"name": "a", REF_NAME: "v1"}}
    turned = {**dict(reversed(body.items())), "annotations": dict(reversed(body["annotations"].items()))}
    assert written_as(read_entry(body).descriptor) == written_as(read_entry(turned).descriptor)
    raw = json.dumps({"schemaVersion": 2, "manifests": [turned, entry(2)]}).encode()
    assert not edit_index(raw, [], [body]).changes


def test_a_removal_that_does_not_say_how_its_entry_was_written_is_done_when_any_has_left() -> None:
    wanted = [read_entry(entry(number, "v1")) for number in (1, 2)]
    assert not_removed(wanted, [read_entry({**entry(1), "annotations": {REF_NAME: "v1", "a": "b"}})]) == wanted[1:]


def test_an_annotation_that_no_encoding_has_comes_back_as_it_was() -> None:
    """A writer may have half of a pair of surrogates in its JSON, as an escape."""
    odd = {**entry(1), "annotations": {REF_NAME: "v1", "name": "\ud800"}}
    raw = json.dumps({"schemaVersion": 2, "manifests": [odd]}).encode()
    gone = edit_index(raw, [read_entry(odd)], [])
    for index in (gone.raw, json.dumps({"schemaVersion": 2, "manifests": [entry(2)]}).encode()):
        assert json.loads(edit_index(index, [], [odd]).raw)["manifests"][-1] == odd


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_empty_list_is_filled_and_the_encoding_kept(encoding: str) -> None:
    raw = '{"x":"ü","schemaVersion":2,"manifests":[]}'.encode(encoding)
    edit = edit_index(raw, [], [entry(1, "v1")])
    assert json.loads(edit.raw.decode(encoding)) == {"x": "ü", "schemaVersion": 2, "manifests": [entry(1, "v1")]}


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b'{"schemaVersion":2,"manifests":[{"digest":"no"}]}', b'{"manifests":null}']
)
def test_an_index_that_is_not_understood_whole_is_not_edited(raw: bytes) -> None:
    with pytest.raises(InvalidLayoutError):
        edit_index(raw, [], [entry(1)])


entries = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([None, "a", "b"])), max_size=6, unique=True)


@given(present=entries, gone=entries, indent=st.sampled_from([None, 0, 2]))
def test_removing_is_what_a_filter_does(present: list, gone: list, indent: int | None) -> None:
    body = {"schemaVersion": 2, "manifests": [entry(*each) for each in present], "other": 1}
    edit = edit_index(json.dumps(body, indent=indent).encode(), [read_entry(entry(*each)) for each in gone], [])
    expected = [entry(*each) for each in present if each not in gone]
    assert json.loads(edit.raw) == {**body, "manifests": expected}
    assert list(edit.removed) == [entry(*each) for each in present if each in gone]


@given(present=entries, gone=entries)
def test_what_was_removed_can_be_put_back(present: list, gone: list) -> None:
    raw = json.dumps({"schemaVersion": 2, "manifests": [entry(*each) for each in present]}).encode()
    edit = edit_index(raw, [read_entry(entry(*each)) for each in gone], [])
    tags: dict[str, int] = {}
    consistent = all(tag is None or tags.setdefault(tag, number) == number for number, tag in present)
    back = edit_index(edit.raw, [], edit.removed)
    if consistent:
        assert sorted(map(str, json.loads(back.raw)["manifests"])) == sorted(map(str, json.loads(raw)["manifests"]))


def test_a_tag_that_has_other_content_by_now_is_named_though_nothing_else_changes() -> None:
    raw = json.dumps({"schemaVersion": 2, "manifests": [entry(1, "v1")]}).encode()
    edit = edit_index(raw, [], [entry(2, "v1")])
    assert (edit.changes, edit.raw, edit.taken) == (False, raw, (read_entry(entry(2, "v1")),))


def test_an_index_that_would_not_say_what_it_was_to_say_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_edit, "_joined", lambda *_: '{"schemaVersion":2,"manifests":[]}')
    raw = json.dumps({"schemaVersion": 2, "manifests": [entry(1, "v1"), entry(2)]}).encode()
    with pytest.raises(InvalidLayoutError):
        edit_index(raw, [read_entry(entry(1, "v1"))], [])


def test_an_entry_is_written_as_it_is_read() -> None:
    assert entry_json(read_entry(entry(1, "v1"))) == entry(1, "v1")
    assert entry_json(replace(read_entry(entry(1)), tag="v1")) == entry(1, "v1")
    assert entry_json(read_entry(entry(1))) == entry(1)


def test_an_index_that_would_be_too_long_to_be_read_again_is_refused() -> None:
    """A list that was empty is written in ASCII, where one letter may take six."""
    raw = json.dumps({"schemaVersion": 2, "manifests": [], "note": "é" * 900_000}, ensure_ascii=False).encode()
    with pytest.raises(InvalidLayoutError, match="could not be read after this"):
        edit_index(raw, [], [entry(1, "v1")])


def test_zero_bytes_that_a_mount_left_at_the_end_are_not_written_again() -> None:
    raw = json.dumps({"schemaVersion": 2, "manifests": [entry(1)]}).encode() + b"\n"
    assert edit_index(raw + b"\0" * 64, [], [entry(2)]).raw == edit_index(raw, [], [entry(2)]).raw
