"""Media types of manifests, and what kind of thing each names.

Sources: image-spec v1.1.1 media-types.md; Docker Image Manifest V2, Schema 2; image-spec v1.1.0-rc2 for the
withdrawn artifact manifest; ORAS artifacts-spec for its predecessor.
"""

from __future__ import annotations

IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ARTIFACT_MANIFEST = "application/vnd.oci.artifact.manifest.v1+json"
ORAS_ARTIFACT_MANIFEST = "application/vnd.cncf.oras.artifact.manifest.v1+json"
EMPTY_JSON = "application/vnd.oci.empty.v1+json"

IMAGE_MANIFESTS = frozenset({IMAGE_MANIFEST, DOCKER_MANIFEST})
IMAGE_INDEXES = frozenset({IMAGE_INDEX, DOCKER_MANIFEST_LIST})
ARTIFACT_MANIFESTS = frozenset({ARTIFACT_MANIFEST, ORAS_ARTIFACT_MANIFEST})
MANIFESTS = IMAGE_MANIFESTS | IMAGE_INDEXES | ARTIFACT_MANIFESTS

_LISTS_MORE = ("manifest", "index", "list")

ACCEPT_MANIFESTS = ", ".join(
    (
        *(IMAGE_INDEX, IMAGE_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST),
        *(ARTIFACT_MANIFEST, ORAS_ARTIFACT_MANIFEST),
        "*/*",
    )
)
"""Any type at the end: some registries say of one that was not asked for that there is no such tag."""


def is_manifest(media_type: str) -> bool:
    """Whether content of this type is a manifest or index, to be pushed as one."""
    return media_type in MANIFESTS


def is_index(media_type: str) -> bool:
    """Whether content of this type lists other manifests."""
    return media_type in IMAGE_INDEXES


def may_list_more(media_type: str) -> bool:
    """Whether content of a type that nobody knows may, by the type's name, refer to further content."""
    return any(word in media_type for word in _LISTS_MORE)


def may_be_absent(media_type: str) -> bool:
    """Whether a layer of this type may lawfully be missing, to be fetched from its `urls` instead.

    image-spec v1.1.1 layer.md "Non-Distributable Layers"; Docker calls them foreign.
    """
    return ".nondistributable." in media_type or ".rootfs.foreign." in media_type
