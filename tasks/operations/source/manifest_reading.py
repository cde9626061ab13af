"""Reads one manifest of a layout: no larger than registries take, and of the form that its type has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.errors import (
    ContentError,
    ContentNotFoundError,
    InvalidManifestError,
    SourceError,
    SourceUnavailableError,
    SpecError,
)
from tasks.oci.manifest import MAX_MANIFEST_SIZE, Manifest, check_type, parse_manifest

if TYPE_CHECKING:
    from tasks.oci.descriptor import Descriptor
    from tasks.oci.errors import LayoutliftError
    from tasks.ports import LayoutReader

BROKEN_AT_SOURCE = (SpecError, ContentError, SourceError)
"""What is wrong with something at the source, or keeps it from being read."""


def leaves_open(error: LayoutliftError, *, patient: bool) -> bool:
    """Whether nobody knows by an error what could not be read: the source is gone, or will be asked again.

    To the `patient` there will be another attempt at what can't be read for the moment.
    """
    return isinstance(error, SourceUnavailableError) or (patient and error.transient)


def read_manifest(source: LayoutReader, path: str, descriptor: Descriptor) -> Manifest:
    """Fetch and read a manifest of a layout.

    Raises:
        UnsupportedMediaTypeError: it is no manifest by its type; it is not read then.
        InvalidManifestError: it is larger than registries take, or not of its type's form.
        ContentError: it is missing or altered.
        SourceError: it can't be read.
    """
    check_type(descriptor)
    if descriptor.size > MAX_MANIFEST_SIZE:
        raise InvalidManifestError(
            f"the manifest has {descriptor.size} bytes, registries take {MAX_MANIFEST_SIZE} at most"
        )
    return parse_manifest(source.blob(path, descriptor).read(), descriptor)


def read_part(source: LayoutReader, path: str, descriptor: Descriptor) -> Manifest:
    """The same for a manifest that is one of many below a tag: what is wrong with its form names it.

    Raises:
        SpecError, ContentError, SourceError: as `read_manifest`, of which the last two name the file.
    """
    try:
        return read_manifest(source, path, descriptor)
    except SpecError as error:
        raise type(error)(f"{descriptor.digest}: {error}") from error


def read_child(source: LayoutReader, path: str, descriptor: Descriptor) -> Manifest:
    """The same for a manifest that an index lists, which some writers leave out on purpose.

    Raises:
        SpecError, ContentError, SourceError: as `read_part`.
    """
    try:
        return read_part(source, path, descriptor)
    except ContentNotFoundError as error:
        raise ContentNotFoundError(f"{error}, and an index lists it") from error
