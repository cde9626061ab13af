"""What is fuzzed: every parser of bytes that a source or target may have made up."""

from contextlib import suppress
from functools import partial

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import LayoutliftError
from tasks.oci.image_layout import check_marker, parse_index
from tasks.oci.manifest import Manifest, parse_manifest
from tasks.oci.media_types import ARTIFACT_MANIFEST, DOCKER_MANIFEST, IMAGE_INDEX, IMAGE_MANIFEST
from tasks.oci.reference import is_repository, is_tag, map_repository, parse_referrers_tag, tag_of_ref_name
from tasks.operations.reports.shown_text import printable
from tasks.stores.registry.challenges import parse_challenges

MANIFEST_TYPES = (IMAGE_MANIFEST, IMAGE_INDEX, DOCKER_MANIFEST, ARTIFACT_MANIFEST)


def read_index(raw: bytes) -> None:
    """An index has entries that are good, or broken for a reason."""
    index = parse_index(raw)
    check_descriptors(index.entries)
    assert all(entry.message and entry.code for entry in index.broken)


def read_manifest(raw: bytes, media_type: str) -> None:
    """A manifest keeps its bytes, and names nothing that is no descriptor."""
    manifest: Manifest = parse_manifest(raw, Descriptor(media_type, Digest.of(raw), len(raw)))
    assert manifest.raw == raw
    check_descriptors((*manifest.blobs, *manifest.manifests, *((manifest.subject,) if manifest.subject else ())))


def read_repository(path: str) -> None:
    """Whatever a path is made of, it becomes a repository that registries take, or none."""
    assert is_repository(map_repository(path))


def read_tag(ref_name: str) -> None:
    """The same of tags."""
    assert is_tag(tag_of_ref_name(ref_name))


def show(text: str) -> None:
    """Nothing that is shown steers a terminal."""
    assert printable(text).isprintable()


def check_descriptors(descriptors: tuple[Descriptor, ...]) -> None:
    """A descriptor that was let through leads nowhere but to a blob."""
    for descriptor in descriptors:
        assert descriptor.size >= 0
        assert descriptor.digest.encoded.isalnum()
        assert descriptor.digest.algorithm in {"sha256", "sha512"}


def read_all(raw: bytes) -> None:
    """Hand the bytes to every parser; whatever they refuse, they refuse with an error of ours."""
    text = raw.decode("utf-8", "replace")
    parsers = [lambda: check_marker(raw), lambda: read_index(raw)]
    parsers += [partial(read_manifest, raw, media_type) for media_type in MANIFEST_TYPES]
    parsers += [lambda: parse_challenges(text), lambda: parse_referrers_tag(text)]
    parsers += [lambda: read_repository(text), lambda: read_tag(text), lambda: show(text)]
    for parse in parsers:
        with suppress(LayoutliftError):
            parse()
