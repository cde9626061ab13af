"""A manifest names everything that must travel with it, and its bytes are kept as they are."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.oci import media_types
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidDigestError, InvalidManifestError, SpecError, UnsupportedMediaTypeError
from tasks.oci.manifest import MAX_MANIFEST_SIZE, Manifest, parse_manifest
from tests.support.nesting import lists_about_as_deep_as_can_be_read
from tests.support.oci_strategies import json_values, nearly_descriptors, sha256

CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b"{}"), "size": 2}
LAYER = {"mediaType": "application/x", "digest": sha256(b"layer"), "size": 5}
CHILD = {"mediaType": media_types.IMAGE_MANIFEST, "digest": sha256(b"child"), "size": 5}
SUBJECT = {"mediaType": media_types.IMAGE_MANIFEST, "digest": sha256(b"subject"), "size": 7}


def parse(body: object, media_type: str = media_types.IMAGE_MANIFEST, raw: bytes | None = None) -> Manifest:
    raw = json.dumps(body).encode() if raw is None else raw
    return parse_manifest(raw, Descriptor(media_type, Digest.of(raw), len(raw)))


def described(*written: dict[str, Any]) -> tuple[Descriptor, ...]:
    return tuple(Descriptor.from_json(value) for value in written)


@pytest.mark.parametrize("media_type", sorted(media_types.IMAGE_MANIFESTS))
def test_an_image_needs_its_config_layers_and_subject(media_type: str) -> None:
    manifest = parse({"config": CONFIG, "layers": [LAYER, LAYER], "subject": SUBJECT}, media_type)
    assert manifest.blobs == described(CONFIG, LAYER, LAYER)
    assert manifest.manifests == ()
    assert manifest.subject == described(SUBJECT)[0]


@pytest.mark.parametrize("media_type", sorted(media_types.IMAGE_INDEXES))
def test_an_index_tells_children_from_other_content(media_type: str) -> None:
    manifest = parse({"manifests": [CHILD, LAYER]}, media_type)
    assert manifest.manifests == described(CHILD)
    assert manifest.blobs == described(LAYER)


@pytest.mark.parametrize("media_type", sorted(media_types.ARTIFACT_MANIFESTS))
def test_the_blobs_of_an_artifact_are_layers(media_type: str) -> None:
    manifest = parse({"blobs": [LAYER], "artifactType": "a/b", "subject": SUBJECT}, media_type)
    assert manifest.blobs == described(LAYER)
    assert manifest.artifact_type == "a/b"


def test_the_bytes_are_kept_as_they_came() -> None:
    raw = b' { "layers":null, "config" : ' + json.dumps(CONFIG).encode() + b', "unknown": "\\u00e9" }\n'
    assert parse(None, raw=raw).raw == raw


@pytest.mark.parametrize("absent", [{}, {"layers": None}, {"layers": []}])
def test_no_layers_may_be_written_in_three_ways(absent: dict[str, Any]) -> None:
    assert parse({"config": CONFIG, **absent}).blobs == described(CONFIG)


def test_a_referrer_shows_its_artifact_type_or_that_of_its_config() -> None:
    assert parse({"config": CONFIG, "artifactType": "a/b"}).as_referrer().artifact_type == "a/b"
    shown = parse({"config": CONFIG, "annotations": {"a": "b", "n": 1}}).as_referrer()
    assert shown.artifact_type == CONFIG["mediaType"]
    for none in ("", 1, None):
        assert parse({"config": CONFIG, "artifactType": none}).artifact_type == CONFIG["mediaType"]
        assert parse({"manifests": [], "artifactType": none}, media_types.IMAGE_INDEX).artifact_type is None
    assert shown.annotations == {"a": "b"}


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ({}, media_types.IMAGE_MANIFEST),
        ({"config": CONFIG, "manifests": [CHILD]}, media_types.IMAGE_MANIFEST),
        ({"manifests": [], "layers": []}, media_types.IMAGE_INDEX),
        ({"manifests": [], "config": CONFIG}, media_types.IMAGE_INDEX),
        ({"manifests": {}}, media_types.IMAGE_INDEX),
        ({"config": CONFIG, "layers": "x"}, media_types.IMAGE_MANIFEST),
        ({"config": CONFIG, "mediaType": media_types.IMAGE_INDEX}, media_types.IMAGE_MANIFEST),
        ([], media_types.IMAGE_MANIFEST),
    ],
)
def test_what_is_not_of_the_form_of_its_type_is_refused(body: object, media_type: str) -> None:
    with pytest.raises(InvalidManifestError):
        parse(body, media_type)


@pytest.mark.parametrize("name", ["Layers", "CONFIG", "Subject", "manifestS", "blob\u017f"])
def test_content_under_a_name_that_only_some_clients_read_is_refused(name: str) -> None:
    with pytest.raises(InvalidManifestError, match=name):
        parse({"config": CONFIG, name: [LAYER]})


@pytest.mark.parametrize("name", ["config", "layers", "manifests"])
def test_an_artifact_with_content_of_other_types_is_refused(name: str) -> None:
    with pytest.raises(InvalidManifestError, match="artifact"):
        parse({"blobs": [LAYER], name: [LAYER]}, media_types.ARTIFACT_MANIFEST)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 100_000], ids=repr)
def test_bytes_that_are_not_json_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidManifestError):
        parse(None, raw=raw)


def test_other_types_are_not_manifests() -> None:
    for media_type in ("application/vnd.docker.distribution.manifest.v1+prettyjws", "application/json"):
        with pytest.raises(UnsupportedMediaTypeError):
            parse({"config": CONFIG}, media_type)


def test_a_refusal_starts_with_the_place() -> None:
    with pytest.raises(InvalidDigestError, match=r"^layers\[1\]: "):
        parse({"config": CONFIG, "layers": [LAYER, {**LAYER, "digest": "sha256:../x"}]})


@given(
    st.sampled_from(sorted(media_types.MANIFESTS)),
    st.dictionaries(
        st.sampled_from(["config", "layers", "manifests", "blobs", "subject", "annotations", "mediaType"]),
        nearly_descriptors() | st.lists(nearly_descriptors(), max_size=2) | json_values,
    ),
)
def test_any_json_is_read_or_refused_by_our_own_exception(media_type: str, body: dict[str, Any]) -> None:
    try:
        manifest = parse(body, media_type)
    except SpecError:
        return
    assert all(media_types.is_manifest(child.media_type) for child in manifest.manifests)


def test_what_is_nested_as_deep_as_can_just_be_read_is_refused_as_anything_else() -> None:
    """A message that repeats it may have to go deeper still, as the interpreter counts."""
    for nested in lists_about_as_deep_as_can_be_read():
        sized = json.dumps({**CONFIG, "size": "here"}).replace('"here"', nested)
        for raw in (f'{{"mediaType":{nested}}}', f'{{"config":{sized}}}'):
            with pytest.raises(SpecError, match=r"(not|says) list|is not JSON"):
                parse(None, raw=raw.encode())


@pytest.mark.parametrize("value", ["{}", "0", '{"a":0}'])
def test_a_manifest_of_nothing_but_small_values_is_not_taken_apart(value: str) -> None:
    """It would take twenty times its bytes of memory, and any number of such are read at once."""
    listed = ",".join([value] * (MAX_MANIFEST_SIZE // (len(value) + 1) - 100))
    raw = f'{{"config":{json.dumps(CONFIG)},"x":[{listed}]}}'.encode()
    assert len(raw) <= MAX_MANIFEST_SIZE
    with pytest.raises(InvalidManifestError, match="more than 250,000 values"):
        parse(None, raw=raw)


def test_a_manifest_may_be_as_large_as_registries_take_with_whatever_text() -> None:
    shortest = {
        "mediaType": "a/b",
        "digest": CHILD["digest"],
        "size": 1,
        "platform": {"architecture": "a", "os": "b"},
    }
    count = (MAX_MANIFEST_SIZE - 100) // (len(json.dumps(shortest, separators=(",", ":"))) + 1)
    raw = json.dumps({"manifests": [shortest] * count}, separators=(",", ":")).encode()
    assert MAX_MANIFEST_SIZE - 500 < len(raw) <= MAX_MANIFEST_SIZE
    assert len(parse(None, media_types.IMAGE_INDEX, raw).blobs) == count
    text = {"config": CONFIG, "annotations": {"list": r'a,"{[' * (MAX_MANIFEST_SIZE // 7)}}
    assert parse(text).annotations == text["annotations"]
