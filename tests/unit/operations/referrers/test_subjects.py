"""What was read is known by what it refers to, and as its own manifest tells of it."""

from __future__ import annotations

from dataclasses import replace

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.manifest import Manifest
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.operations.referrers.subjects import Subjects


def described(content: bytes) -> Descriptor:
    return Descriptor(IMAGE_MANIFEST, Digest.of(content), len(content))


IMAGE, OTHER, SIGNATURE = described(b"image"), described(b"another image"), described(b"signature")
TOLD = replace(SIGNATURE, artifact_type="signature", annotations={"by": "me"})


def subjects() -> Subjects:
    """Told of an image and its signature."""
    found = Subjects()
    found.note(Manifest(IMAGE, b""))
    found.note(
        Manifest(SIGNATURE, b"", subject=IMAGE, artifact_type=TOLD.artifact_type, annotations=TOLD.annotations)
    )
    return found


def test_what_refers_to_something_is_found_by_its_subject_but_one() -> None:
    digests = [IMAGE.digest, SIGNATURE.digest, OTHER.digest]
    assert subjects().referring(digests) == {IMAGE.digest: [TOLD]}
    assert subjects().referring(digests, but=OTHER.digest) == {IMAGE.digest: [TOLD]}
    assert subjects().referring(digests, but=IMAGE.digest) == {}
    assert subjects().referring([IMAGE.digest]) == {}


def test_a_list_has_of_a_referrer_what_its_manifest_says_only_where_that_names_the_same_subject() -> None:
    assert subjects().as_told(SIGNATURE, IMAGE.digest).to_json() == TOLD.to_json()
    assert subjects().as_told(SIGNATURE, OTHER.digest) is SIGNATURE
    assert subjects().as_told(OTHER, IMAGE.digest) is OTHER
