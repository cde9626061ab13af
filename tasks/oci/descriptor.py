"""Descriptors: what points at content (image-spec v1.1.1, descriptor.md)."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidDescriptorError

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_ANNOTATIONS: Mapping[str, str] = {}
MAX_SIZE = 2**63 - 1
MAX_MEDIA_TYPE = 255
"""Characters: twice 127 and a slash (RFC 6838 section 4.2)."""
_NAMES = frozenset({"mediaType", "digest", "size", "artifactType", "annotations"})
_ANY_CASE = {name.casefold(): name for name in _NAMES}


def no_annotations() -> Mapping[str, str]:
    """The one empty mapping: an index has many entries without annotations."""
    return NO_ANNOTATIONS


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Media type, digest and size (bytes) of some content; equality looks at these three only."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = field(default=None, compare=False)
    annotations: Mapping[str, str] = field(default_factory=no_annotations, compare=False)

    @classmethod
    def from_json(cls, value: object) -> Descriptor:
        """Make a descriptor of decoded JSON.

        Raises:
            InvalidDescriptorError: a field is missing or of the wrong kind.
            InvalidDigestError: the digest is not one.
        """
        if not isinstance(value, dict):
            raise InvalidDescriptorError(f"a descriptor must be an object, not {type(value).__name__}")
        _refuse_other_cases(value)
        return cls(
            media_type=_media_type(value),
            digest=Digest(value.get("digest")),
            size=_size(value),
            artifact_type=_optional_text(value, "artifactType"),
            annotations=_annotations(value),
        )

    def to_json(self) -> dict[str, Any]:
        """The descriptor as the specification writes it, fields without a value left out."""
        written: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.artifact_type is not None:
            written["artifactType"] = self.artifact_type
        if self.annotations:
            written["annotations"] = dict(self.annotations)
        return written


def _refuse_other_cases(value: dict[str, Any]) -> None:
    """Clients in Go take names in any case, and the last one: they would read something that we don't."""
    for name in value:
        if name not in _NAMES and (meant := _ANY_CASE.get(name.casefold())) is not None:
            raise InvalidDescriptorError(f"it has {name!r} in place of {meant!r}")


def _media_type(value: dict[str, Any]) -> str:
    media_type = value.get("mediaType")
    if not isinstance(media_type, str) or not media_type:
        raise InvalidDescriptorError("mediaType must be text and not empty")
    if not media_type.isascii() or not media_type.isprintable():
        raise InvalidDescriptorError("mediaType has characters that no media type has")
    if len(media_type) > MAX_MEDIA_TYPE:
        raise InvalidDescriptorError(
            f"mediaType has {len(media_type)} characters, and none has more than {MAX_MEDIA_TYPE}"
        )
    return sys.intern(media_type)


def _size(value: dict[str, Any]) -> int:
    size = value.get("size")
    if type(size) is not int or not 0 <= size <= MAX_SIZE:
        raise InvalidDescriptorError(f"size must be a whole number from 0 to 2^63-1, not {in_words(size)[:40]}")
    return size


def in_words(value: object) -> str:
    """A value out of JSON; of a list or object only what it is: it may be nested deeper than can be told."""
    return type(value).__name__ if isinstance(value, list | dict) else str(value)


def _optional_text(value: dict[str, Any], name: str) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        raise InvalidDescriptorError(f"{name} must be text, not {type(text).__name__}")
    return text or None


def _annotations(value: dict[str, Any]) -> Mapping[str, str]:
    annotations = value.get("annotations")
    if not annotations:
        return NO_ANNOTATIONS
    if not isinstance(annotations, dict) or not all(isinstance(v, str | None) for v in annotations.values()):
        raise InvalidDescriptorError("annotations must be an object of text values")
    if None in annotations.values():  # to clients in Go, empty
        return {name: text for name, text in annotations.items() if text is not None}
    return annotations
