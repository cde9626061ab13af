"""Manifests and indexes, read from the bytes that will travel.

Forms: image-spec v1.1.1 manifest.md and image-index.md; Docker Image Manifest V2, Schema 2; the withdrawn
artifact manifest (its `blobs` are layers here). Bytes are never written again: what is pushed is `raw`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.oci import media_types
from tasks.oci.bounded_json import TooManyValuesError, json_within
from tasks.oci.descriptor import NO_ANNOTATIONS, Descriptor, in_words, no_annotations
from tasks.oci.errors import InvalidManifestError, SpecError, UnsupportedMediaTypeError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MANIFEST_SIZE = 4 * 1024 * 1024
"""Bytes. distribution, zot, ECR and ACR refuse more; distribution-spec v1.1.1 asks for at least this."""
MOST_VALUES = 250_000
"""Values, objects and lists; the largest manifest has 200,000 with the shortest descriptors. As Python objects, the
smallest values take twenty times their bytes, and several manifests are read at once."""
_CONTENT = frozenset({"config", "layers", "manifests", "blobs", "subject"})


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest's own descriptor, its bytes, and what it refers to.

    `blobs` are config and layers, `manifests` the children of an index, `subject` what it is a referrer of.
    """

    descriptor: Descriptor
    raw: bytes
    blobs: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=no_annotations)

    def as_referrer(self) -> Descriptor:
        """The descriptor that a list of referrers shows (distribution-spec v1.1.1 "Listing Referrers")."""
        return Descriptor(
            self.descriptor.media_type,
            self.descriptor.digest,
            self.descriptor.size,
            artifact_type=self.artifact_type,
            annotations=self.annotations,
        )


def check_type(descriptor: Descriptor) -> None:
    """See that content of this type can be read as a manifest.

    Raises:
        UnsupportedMediaTypeError: the descriptor's type is not a manifest's.
    """
    if not media_types.is_manifest(descriptor.media_type):
        raise UnsupportedMediaTypeError(f"{descriptor.media_type} is not a type of manifest that registries take")


def own_type(raw: bytes) -> str | None:
    """The type that a manifest says of itself, None where it says none that a manifest has.

    Raises:
        InvalidManifestError: it is not JSON, or of no manifest's form.
    """
    named = _decode(raw).get("mediaType")
    return named if isinstance(named, str) and media_types.is_manifest(named) else None


def parse_manifest(raw: bytes, descriptor: Descriptor) -> Manifest:
    """Read the bytes that `descriptor` points at; they must have been checked against its digest.

    Raises:
        UnsupportedMediaTypeError: the descriptor's type is not a manifest's.
        InvalidManifestError: not JSON, not of the form of that type, or it says another type of itself.
        SpecError: a descriptor or digest inside is invalid; the message starts with the place.
    """
    check_type(descriptor)
    body = _decode(raw)
    own_type = body.get("mediaType")
    if own_type is not None and own_type != descriptor.media_type:
        raise InvalidManifestError(
            f"its descriptor says {descriptor.media_type}, the manifest itself says {in_words(own_type)[:100]}"
        )
    if media_types.is_index(descriptor.media_type):
        return _index(body, raw, descriptor)
    if descriptor.media_type in media_types.ARTIFACT_MANIFESTS:
        return _artifact(body, raw, descriptor)
    return _image(body, raw, descriptor)


def _decode(raw: bytes) -> dict[str, Any]:
    try:
        body = json_within(raw, MOST_VALUES)
    except TooManyValuesError as error:
        raise InvalidManifestError(f"the manifest has {error}, as no manifest needs") from error
    except (ValueError, RecursionError) as error:
        raise InvalidManifestError(f"the manifest is not JSON: {str(error)[:200]}") from error
    if not isinstance(body, dict):
        raise InvalidManifestError(f"the manifest must be an object, not {type(body).__name__}")
    for name in body.keys() - _CONTENT:
        if name.casefold() in _CONTENT:  # clients in Go don't mind, so there is content that we would not see
            raise InvalidManifestError(f"the manifest has {name!r} in place of {name.casefold()!r}")
    return body


def _image(body: dict[str, Any], raw: bytes, descriptor: Descriptor) -> Manifest:
    if "config" not in body:
        raise InvalidManifestError("the image manifest has no config")
    if "manifests" in body:
        raise InvalidManifestError("the image manifest has a list of manifests, as only an index may have")
    config = _descriptor(body["config"], "config")
    return Manifest(
        descriptor,
        raw,
        blobs=(config, *_descriptors(body, "layers")),
        subject=_subject(body),
        artifact_type=_artifact_type(body) or config.media_type,
        annotations=_annotations(body),
    )


def _index(body: dict[str, Any], raw: bytes, descriptor: Descriptor) -> Manifest:
    if "config" in body or "layers" in body:
        raise InvalidManifestError("the index has a config or layers, as only an image manifest may have")
    children = _descriptors(body, "manifests")
    return Manifest(
        descriptor,
        raw,
        blobs=tuple(c for c in children if not media_types.is_manifest(c.media_type)),
        manifests=tuple(c for c in children if media_types.is_manifest(c.media_type)),
        subject=_subject(body),
        artifact_type=_artifact_type(body),
        annotations=_annotations(body),
    )


def _artifact(body: dict[str, Any], raw: bytes, descriptor: Descriptor) -> Manifest:
    if not body.keys().isdisjoint({"config", "layers", "manifests"}):
        raise InvalidManifestError("the artifact manifest has content as only an image manifest or an index may have")
    return Manifest(
        descriptor,
        raw,
        blobs=_descriptors(body, "blobs"),
        subject=_subject(body),
        artifact_type=_artifact_type(body),
        annotations=_annotations(body),
    )


def _subject(body: dict[str, Any]) -> Descriptor | None:
    subject = body.get("subject")
    return None if subject is None else _descriptor(subject, "subject")


def _artifact_type(body: dict[str, Any]) -> str | None:
    artifact_type = body.get("artifactType")
    return artifact_type if isinstance(artifact_type, str) and artifact_type else None


def _annotations(body: dict[str, Any]) -> Mapping[str, str]:
    annotations = body.get("annotations")
    if not isinstance(annotations, dict):
        return NO_ANNOTATIONS
    return {name: value for name, value in annotations.items() if isinstance(value, str)}


def _descriptors(body: dict[str, Any], name: str) -> tuple[Descriptor, ...]:
    listed = body.get(name)
    if listed is None:  # written as null, or left out, by several builders when there is none
        return ()
    if not isinstance(listed, list):
        raise InvalidManifestError(f"{name} must be a list, not {type(listed).__name__}")
    return tuple(_descriptor(value, f"{name}[{place}]") for place, value in enumerate(listed))


def _descriptor(value: object, place: str) -> Descriptor:
    try:
        return Descriptor.from_json(value)
    except SpecError as error:
        raise type(error)(f"{place}: {error}") from error
