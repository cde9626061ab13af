"""What an index of many images has under no name is where the images are that it belongs to."""

from pathlib import Path

import pytest

from tasks.oci.errors import InvalidLayoutError
from tasks.oci.image_layout import REFERRER_SUBJECT, parse_index
from tasks.oci.reference import IMAGE_NAME, REF_NAME
from tasks.operations.source import named_parts
from tasks.operations.source.named_parts import parts_of
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.layouts import OCI_MANIFEST, Descriptor, LayoutBuilder

ONE, TWO, OWN = "one", "two", "dump"


@pytest.fixture
def dump(tmp_path: Path) -> LayoutBuilder:
    """With an image of another name, to which nothing else belongs."""
    layout = LayoutBuilder(tmp_path / OWN)
    layout.image("a.example/two:v1", layers=[b"two"])
    return layout


def places(layout: LayoutBuilder, wanted: Descriptor) -> set[str]:
    """The repositories whose index has an entry."""
    source = LayoutDirectory(layout.write().parent)
    parts = parts_of(source, OWN, source.read_index(OWN), map)
    entries = {path: {entry.digest for entry in parse_index(part.file().raw).entries} for path, part in parts.items()}
    return {path for path, digests in entries.items() if wanted["digest"] in digests}


def test_the_platforms_of_indexes_in_indexes(dump: LayoutBuilder) -> None:
    platforms = [dump.image(layers=[name]) for name in (b"arm", b"amd", b"riscv")]
    nested = [dump.index([platform], listed=False) for platform in platforms]
    dump.index(nested[:1], "a.example/one:v1")
    dump.index(nested[1:], "a.example/one:v2")
    assert [places(dump, platform) for platform in platforms] == [{ONE}] * 3


def test_the_members_of_a_list_of_referrers_by_tag_and_what_refers_to_a_signature(dump: LayoutBuilder) -> None:
    image = dump.image("a.example/one:v1", layers=[b"one"])
    tag = image["digest"].replace(":", "-")
    member = dump.image(layers=[b"a member, which has no subject itself"])
    listed = dump.index([member], tag)
    signature = dump.image(f"{tag}.sig", layers=[b"signature"])
    of_signature = dump.referrer(signature)
    assert [places(dump, each) for each in (listed, member, signature, of_signature)] == [{ONE}] * 4


def test_a_tag_that_is_made_of_its_own_digest_is_as_bare_as_others(dump: LayoutBuilder) -> None:
    image = dump.image("a.example/one:v1", layers=[b"one"])
    dump.entry(image, image["digest"].replace(":", "-"))
    assert places(dump, image) == {ONE, OWN}


@pytest.mark.parametrize("annotation", REFERRER_SUBJECT)
def test_a_list_of_referrers_that_annotations_mark(dump: LayoutBuilder, annotation: str) -> None:
    image = dump.image("a.example/one:v1", layers=[b"one"])
    listed = dump.index([dump.image(layers=[b"member"], listed=False)], listed=False)
    dump.entry({**listed, "annotations": {annotation: image["digest"]}})
    assert places(dump, listed) == {ONE}
    dump.entry({**dump.index([], listed=False), "annotations": {annotation: "nonsense"}})
    assert places(dump, listed) == {ONE}


def test_what_belongs_to_an_image_with_a_name_and_to_one_with_a_bare_tag(dump: LayoutBuilder) -> None:
    image = dump.image("a.example/one:v1", layers=[b"one"])
    dump.entry(image, "bare")
    assert places(dump, dump.referrer(image)) == {ONE, OWN}


def test_a_platform_that_is_named_by_its_digest_alone(dump: LayoutBuilder) -> None:
    platform = dump.image(layers=[b"arm"], listed=False)
    dump.entry(platform, platform["digest"])
    dump.index([platform], "a.example/one:v1")
    assert places(dump, platform) == {ONE}


@pytest.mark.parametrize("annotation", [REF_NAME, IMAGE_NAME])
def test_a_platform_of_an_image_that_has_a_name_and_no_tag(dump: LayoutBuilder, annotation: str) -> None:
    platform = dump.image(layers=[b"arm"])
    index = dump.index([platform], listed=False)
    dump.entry({**index, "annotations": {annotation: f"a.example/one@{index['digest']}"}})
    assert places(dump, platform) == {ONE}


@pytest.mark.parametrize("name", [None, "a.example/one:v2"])
def test_a_broken_entry_is_in_the_way_of_no_other(dump: LayoutBuilder, name: str | None) -> None:
    dump.entry({"mediaType": OCI_MANIFEST, "digest": "nonsense", "size": 1}, name)
    platform = dump.image(layers=[b"arm"])
    dump.index([platform], "a.example/one:v1")
    assert places(dump, platform) == {ONE}


def test_what_belongs_to_nothing_or_is_broken_for_good_stays(dump: LayoutBuilder) -> None:
    moved = dump.image(layers=[b"moved"])
    lost = dump.referrer(dump.image("a.example/one:v1", layers=[b"one"]))
    dump.blob_path(lost).unlink()
    tag_without_image = dump.image(f"sha256-{64 * '0'}.sig", layers=[b"signature"])
    odd = dump.image("no tag + at all", layers=[b"odd"])
    assert [places(dump, each) for each in (moved, lost, tag_without_image, odd)] == [{OWN}] * 4


def test_what_would_be_repeated_without_end_is_refused(dump: LayoutBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each platform and signature goes with each name: ten thousand of either make a hundred million entries."""
    platforms = [dump.image(layers=[name]) for name in (b"arm", b"amd", b"riscv")]
    index = dump.index(platforms, "a.example/one:v1")
    for name in ("three", "four", "five"):
        dump.entry(index, f"a.example/{name}:v1")
    monkeypatch.setattr(named_parts, "MOST_SHARED", 9)
    assert places(dump, platforms[0]) == {ONE, "three", "four", "five"}
    monkeypatch.setattr(named_parts, "MOST_SHARED", 8)
    with pytest.raises(InvalidLayoutError, match="more than 8 further names"):
        places(dump, platforms[0])
