"""A descriptor is read whole and right, or refused with the field that is wrong."""

import pickle

import pytest
from hypothesis import given

from tasks.oci.descriptor import MAX_SIZE, Descriptor
from tasks.oci.errors import InvalidDescriptorError, InvalidDigestError, SpecError
from tests.support.oci_strategies import HOSTILE_DIGESTS, descriptors, nearly_descriptors, sha256

GOOD = {"mediaType": "application/x", "digest": sha256(b"x"), "size": 1}


@given(descriptors)
def test_what_is_written_reads_back_the_same(descriptor: Descriptor) -> None:
    again = Descriptor.from_json(descriptor.to_json())
    assert again == descriptor
    assert (again.artifact_type, dict(again.annotations)) == (descriptor.artifact_type, dict(descriptor.annotations))


@given(descriptors)
def test_a_descriptor_survives_pickling_and_serves_as_a_key(descriptor: Descriptor) -> None:
    assert {pickle.loads(pickle.dumps(descriptor)): 1}[descriptor] == 1


@given(nearly_descriptors())
def test_anything_else_is_refused_by_our_own_exception(value: object) -> None:
    try:
        descriptor = Descriptor.from_json(value)
    except SpecError:
        return
    assert 0 <= descriptor.size <= MAX_SIZE
    assert descriptor.media_type.isprintable()
    assert descriptor.artifact_type is None or isinstance(descriptor.artifact_type, str)
    assert all(isinstance(text, str) for text in descriptor.annotations.values())


@pytest.mark.parametrize("size", [-1, True, 1.0, "1", None, 2**63, [1]], ids=repr)
def test_a_size_is_a_whole_number_that_fits(size: object) -> None:
    with pytest.raises(InvalidDescriptorError, match="size"):
        Descriptor.from_json({**GOOD, "size": size})


@pytest.mark.parametrize("media_type", ["", None, 1, "a\nb", "a/b\x7f", "äpplication/x"], ids=repr)
def test_a_media_type_can_travel_in_a_header(media_type: object) -> None:
    with pytest.raises(InvalidDescriptorError, match="mediaType"):
        Descriptor.from_json({**GOOD, "mediaType": media_type})


@pytest.mark.parametrize("digest", HOSTILE_DIGESTS)
def test_a_hostile_digest_is_refused_as_one(digest: str) -> None:
    with pytest.raises(InvalidDigestError):
        Descriptor.from_json({**GOOD, "digest": digest})


@pytest.mark.parametrize("artifact_type", [1, ["a/b"], {}, False], ids=repr)
def test_an_artifact_type_is_text(artifact_type: object) -> None:
    with pytest.raises(InvalidDescriptorError, match="artifactType"):
        Descriptor.from_json({**GOOD, "artifactType": artifact_type})


@pytest.mark.parametrize("annotations", [["a"], {"a": 1}, {"a": ["b"]}, {"a": "b", "c": 1}, "a"], ids=repr)
def test_annotations_are_text_by_name(annotations: object) -> None:
    with pytest.raises(InvalidDescriptorError, match="annotations"):
        Descriptor.from_json({**GOOD, "annotations": annotations})


def test_an_annotation_that_is_null_is_none() -> None:
    """Clients in Go read it as empty, and take all else."""
    read = Descriptor.from_json({**GOOD, "annotations": {"a": None, "b": "c"}})
    assert read.annotations == {"b": "c"}
    assert Descriptor.from_json({**GOOD, "annotations": {"a": None}}).to_json() == GOOD


@pytest.mark.parametrize("name", ["Digest", "SIZE", "mediatype", "Annotations", "dige\u017ft"])
def test_a_name_that_only_some_clients_read_is_refused(name: str) -> None:
    """Or a cleanup would not see the content, or the tag, that they see."""
    with pytest.raises(InvalidDescriptorError, match=f"{name!r} in place of"):
        Descriptor.from_json({**GOOD, name: sha256(b"other")})
    Descriptor.from_json({**GOOD, "platform": {"OS": "linux"}, "digests": []})


def test_equality_looks_at_type_digest_and_size_only() -> None:
    plain, named = Descriptor.from_json(GOOD), Descriptor.from_json({**GOOD, "annotations": {"a": "b"}})
    assert plain == named
    assert hash(plain) == hash(named)
    assert plain != Descriptor.from_json({**GOOD, "size": 2})


def test_many_descriptors_without_annotations_share_one_empty_mapping() -> None:
    assert Descriptor.from_json(GOOD).annotations is Descriptor.from_json({**GOOD, "size": 2}).annotations


def test_fields_without_a_value_are_not_written() -> None:
    assert Descriptor.from_json({**GOOD, "annotations": {}, "artifactType": ""}).to_json() == GOOD
