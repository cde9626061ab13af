"""What registries are known for: names that they take, limits, and what they leave to be done before a push.

Plain data, read by plans before a byte is sent and by the store before each push. A rule is here only where its
owner documents it; what is not known of a registry is left to its own answer. Sources, as read in November 2026:
the service models of Amazon ECR and ECR Public, and "Amazon ECR service quotas"; GitHub, "Working with the Container
registry"; Google, "Repository and image names"; Azure, "Container Registry service tiers"; Harbor, "Working with
projects"; Quay's configuration schema and source; GitLab, "Container registry", naming convention, and "Delete
container images"; Docker Hub, "Repositories" and "Settings".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tasks.oci.errors import InvalidReferenceError, ManifestRefusedError, PayloadTooLargeError
from tasks.oci.manifest import MAX_MANIFEST_SIZE
from tasks.oci.media_types import ARTIFACT_MANIFESTS, is_manifest

if TYPE_CHECKING:
    from tasks.oci.descriptor import Descriptor
    from tasks.oci.errors import RegistryError

_MIB = 1024**2
_GIB = 1024**3
_NO_HOST = re.compile(r"(?!)")


class RegistryKind(StrEnum):
    """Whose registry the target is; `auto` tells it by its host name, or by the name of its token service."""

    AUTO = "auto"
    GENERIC = "generic"
    ECR = "ecr"
    ECR_PUBLIC = "ecr-public"
    GITHUB = "github"
    GOOGLE = "google"
    AZURE = "azure"
    HARBOR = "harbor"
    QUAY = "quay"
    GITLAB = "gitlab"
    DOCKER_HUB = "docker-hub"


@dataclass(frozen=True, slots=True)
class RegistryProfile:
    """One kind of registry.

    Sizes are in bytes, lengths in characters. `form` shows the parts that a repository's name must have, and
    `names_told` says what else `names` wants of it, where that is more than a length; `largest_blob` None means that
    no limit is known. `no_repository` are the codes of the 404 for tags of a repository that is not there.
    `keeps_untagged` says that a manifest stays until somebody deletes it, `new_are_public` that everybody may read a
    repository that a push makes, unless its owner changed that, and `lists_lag` how many seconds old a list of tags
    may be.
    """

    kind: RegistryKind
    title: str
    hosts: re.Pattern[str] = _NO_HOST
    services: frozenset[str] = frozenset()
    form: str = "REPOSITORY"
    least_parts: int = 1
    most_parts: int | None = None
    shortest_name: int = 1
    longest_name: int | None = None
    names: re.Pattern[str] | None = None
    names_told: str = ""
    default_namespace: str = ""
    api_host: str = ""
    largest_blob: int | None = None
    refused_types: frozenset[str] = frozenset()
    no_repository: frozenset[str] = frozenset({"NAME_UNKNOWN"})
    keeps_untagged: bool = True
    new_are_public: bool = False
    lists_lag: float = 0.0

    def asked_at(self, host: str) -> str:
        """The host that answers for `host`; where the kind was only named for it, nobody but that host does."""
        return self.api_host if self.api_host and self.knows(host) else host

    def knows(self, host: str) -> bool:
        """Whether it is by this name that such a registry is told."""
        return self.hosts.fullmatch(host.lower().removesuffix(":443")) is not None

    def repository(self, name: str) -> str:
        """The repository's name at this registry, for `name` that the distribution specification allows.

        Raises:
            InvalidReferenceError: this registry does not take it.
        """
        parts = name.count("/") + 1
        if parts == 1 and self.default_namespace:
            name, parts = f"{self.default_namespace}/{name}", 2
        most = self.most_parts or parts
        if not self.least_parts <= parts <= most:
            fewer = f"use --flatten {most} and a TARGET of fewer than {most} components"
            way = fewer if parts > most else "put what is missing into TARGET"
            raise InvalidReferenceError(
                f"{self.title} takes repositories of the form {self.form}, not {name!r}; {way}, or use --rename"
            )
        if len(name) < self.shortest_name or (self.longest_name is not None and len(name) > self.longest_name):
            raise InvalidReferenceError(
                f"{self.title} takes names of {self.shortest_name} to {self.longest_name} characters, "
                f"and {name[:80]!r} has {len(name)}"
            )
        if self.names is not None and not self.names.fullmatch(name):
            raise InvalidReferenceError(f"{self.title} takes {self.names_told}, not {name[:80]!r}; use --rename")
        return name

    def refusal(self, descriptor: Descriptor) -> RegistryError | None:
        """Why this registry would not take a manifest or blob, None where nothing is known against it."""
        what = f"{descriptor.digest} has {descriptor.size} bytes, and {self.title} takes"
        if is_manifest(descriptor.media_type):
            if descriptor.media_type in self.refused_types:
                return ManifestRefusedError(f"{self.title} does not take manifests of type {descriptor.media_type}")
            if descriptor.size > MAX_MANIFEST_SIZE:
                return PayloadTooLargeError(f"the manifest {what} {MAX_MANIFEST_SIZE} at most")
        elif self.largest_blob is not None and descriptor.size > self.largest_blob:
            return PayloadTooLargeError(f"the blob {what} {self.largest_blob} at most")
        return None


GENERIC = RegistryProfile(RegistryKind.GENERIC, "the registry")
PROFILES = (
    GENERIC,
    RegistryProfile(
        RegistryKind.ECR,
        "Amazon ECR",
        re.compile(
            r"[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.[a-z0-9-]+\.(?:amazonaws\.com(?:\.cn)?|on\.(?:aws|amazonwebservices\.com\.cn))"
        ),
        shortest_name=2,
        longest_name=256,
        largest_blob=52_000 * _MIB,
        refused_types=ARTIFACT_MANIFESTS,
    ),
    RegistryProfile(
        RegistryKind.ECR_PUBLIC,
        "Amazon ECR Public",
        re.compile(r"public\.ecr\.aws"),
        form="ALIAS/REPOSITORY",
        least_parts=2,
        names=re.compile(r"[^/]+/(?!.*(?:__|--)).{2,205}"),
        names_told="2 to 205 characters after ALIAS/, and neither `__` nor `--` among them",
        largest_blob=10_000 * _MIB,
        refused_types=ARTIFACT_MANIFESTS,
    ),
    RegistryProfile(
        RegistryKind.GITHUB,
        "GitHub's container registry",
        re.compile(r"ghcr\.io|containers\.[a-z0-9.-]+\.ghe\.com"),
        form="OWNER/IMAGE",
        least_parts=2,
        largest_blob=10 * _GIB,
    ),
    RegistryProfile(
        RegistryKind.GOOGLE,
        "Google Artifact Registry",
        re.compile(r"[a-z0-9-]+-docker\.pkg\.dev"),
        form="PROJECT/REPOSITORY/IMAGE",
        least_parts=3,
    ),
    RegistryProfile(
        RegistryKind.AZURE,
        "Azure Container Registry",
        re.compile(r"[a-z0-9-]+(?:\.[a-z0-9]+\.(?:data|geo))?\.azurecr\.(?:io|cn|us)"),
        largest_blob=200 * _GIB,
    ),
    RegistryProfile(
        RegistryKind.HARBOR,
        "Harbor",
        services=frozenset({"harbor-registry"}),
        form="PROJECT/REPOSITORY",
        least_parts=2,
        no_repository=frozenset({"NAME_UNKNOWN", "NOT_FOUND"}),  # the latter is that of Harbor's own API
    ),
    RegistryProfile(
        RegistryKind.QUAY,
        "Quay",
        re.compile(r"quay\.io"),
        form="NAMESPACE/REPOSITORY",
        least_parts=2,
        largest_blob=20 * _GIB,
        keeps_untagged=False,  # a push by digest is given a temporary tag (PUSH_TEMP_TAG_EXPIRATION_SEC)
        lists_lag=120.0,  # they are kept in a cache (active_repo_tags_cache_ttl)
    ),
    RegistryProfile(
        RegistryKind.GITLAB,
        "GitLab's container registry",
        re.compile(r"registry\.gitlab\.com"),
        services=frozenset({"container_registry"}),
        form="GROUP/PROJECT[/NAME[/NAME]]",
        least_parts=2,
        keeps_untagged=False,  # where it has a metadata database, as on gitlab.com
    ),
    RegistryProfile(
        RegistryKind.DOCKER_HUB,
        "Docker Hub",
        re.compile(r"(?:index\.|registry-1\.)?docker\.io"),
        form="NAMESPACE/REPOSITORY",
        least_parts=2,
        most_parts=2,
        longest_name=255,
        default_namespace="library",
        api_host="registry-1.docker.io",
        new_are_public=True,
    ),
)


def profile_of(kind: RegistryKind, host: str) -> RegistryProfile:
    """The profile of a kind; of `auto`, the one whose hosts have the name `host`, else that of any registry."""
    if kind is RegistryKind.AUTO:
        return next((each for each in PROFILES if each.knows(host)), GENERIC)
    return next(each for each in PROFILES if each.kind is kind)


def profile_of_service(service: str) -> RegistryProfile:
    """The profile that the name of a registry's token service gives away."""
    return next((each for each in PROFILES if service in each.services), GENERIC)
