"""What a registry is known to refuse is known before it is asked."""

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidReferenceError, ManifestRefusedError, PayloadTooLargeError
from tasks.oci.media_types import ARTIFACT_MANIFEST, IMAGE_MANIFEST
from tasks.oci.registry_profiles import GENERIC, PROFILES, RegistryKind, profile_of, profile_of_service

LAYER = "application/vnd.oci.image.layer.v1.tar"
GIB = 1024**3


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", RegistryKind.ECR),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", RegistryKind.ECR),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", RegistryKind.ECR),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", RegistryKind.ECR),
        ("123456789012.DKR.ecr.eu-west-1.amazonaws.com:443", RegistryKind.ECR),
        ("public.ecr.aws", RegistryKind.ECR_PUBLIC),
        ("ghcr.io", RegistryKind.GITHUB),
        ("europe-west3-docker.pkg.dev", RegistryKind.GOOGLE),
        ("team.azurecr.io", RegistryKind.AZURE),
        ("team.westeurope.geo.azurecr.io", RegistryKind.AZURE),
        ("team.chinaeast2.geo.azurecr.cn", RegistryKind.AZURE),
        ("quay.io", RegistryKind.QUAY),
        ("registry.gitlab.com", RegistryKind.GITLAB),
        ("docker.io", RegistryKind.DOCKER_HUB),
        ("registry-1.docker.io", RegistryKind.DOCKER_HUB),
        ("registry.example:5000", RegistryKind.GENERIC),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example", RegistryKind.GENERIC),
        ("notghcr.io", RegistryKind.GENERIC),
    ],
)
def test_a_host_gives_its_registry_away(host: str, kind: RegistryKind) -> None:
    assert profile_of(RegistryKind.AUTO, host).kind is kind


def test_a_kind_that_was_named_counts_more_than_the_host() -> None:
    assert profile_of(RegistryKind.HARBOR, "ghcr.io").kind is RegistryKind.HARBOR
    assert profile_of(RegistryKind.GENERIC, "ghcr.io") is GENERIC


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io", "Docker.io:443"])
def test_docker_hub_is_asked_where_it_answers(host: str) -> None:
    assert profile_of(RegistryKind.AUTO, host).asked_at(host) == "registry-1.docker.io"


@pytest.mark.parametrize("kind", RegistryKind)
def test_a_registry_of_which_only_the_kind_was_named_is_asked_itself(kind: RegistryKind) -> None:
    """Whatever is sent there, its password above all, is for nobody else."""
    for host in ("mirror.example", "docker.io.mirror.example", "localhost:5000"):
        assert profile_of(kind, host).asked_at(host) == host


def test_harbor_and_gitlab_are_known_by_their_token_services() -> None:
    assert profile_of_service("harbor-registry").kind is RegistryKind.HARBOR
    assert profile_of_service("container_registry").kind is RegistryKind.GITLAB
    assert profile_of_service("") is GENERIC


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (RegistryKind.ECR, "a"),
        (RegistryKind.ECR, "a" * 257),
        (RegistryKind.ECR_PUBLIC, "app"),
        (RegistryKind.ECR_PUBLIC, "alias/a"),
        (RegistryKind.ECR_PUBLIC, f"alias/{'a' * 206}"),
        (RegistryKind.ECR_PUBLIC, "alias/team/a__b"),
        (RegistryKind.ECR_PUBLIC, "alias/a--b/app"),
        (RegistryKind.GITHUB, "app"),
        (RegistryKind.GOOGLE, "project/app"),
        (RegistryKind.HARBOR, "app"),
        (RegistryKind.QUAY, "app"),
        (RegistryKind.GITLAB, "app"),
        (RegistryKind.DOCKER_HUB, "team/group/app"),
    ],
)
def test_a_name_that_a_registry_does_not_take_is_refused_with_its_rule(kind: RegistryKind, name: str) -> None:
    profile = profile_of(kind, "")
    with pytest.raises(InvalidReferenceError, match=f"{profile.title} takes"):
        profile.repository(name)


@pytest.mark.parametrize(
    ("kind", "name", "there"),
    [
        (RegistryKind.GENERIC, "app", "app"),
        (RegistryKind.ECR, "team/app__x", "team/app__x"),
        (RegistryKind.ECR_PUBLIC, "alias/team/a-b_c.d", "alias/team/a-b_c.d"),
        (RegistryKind.ECR_PUBLIC, f"alias/{'a' * 205}", f"alias/{'a' * 205}"),
        (RegistryKind.GOOGLE, "example.com/project/repository/app", "example.com/project/repository/app"),
        (RegistryKind.DOCKER_HUB, "team/app", "team/app"),
        (RegistryKind.DOCKER_HUB, "app", "library/app"),
        (RegistryKind.AZURE, "app", "app"),
    ],
)
def test_a_name_that_a_registry_takes_is_kept(kind: RegistryKind, name: str, there: str) -> None:
    assert profile_of(kind, "").repository(name) == there


def descriptor(media_type: str, size: int) -> Descriptor:
    return Descriptor(media_type, Digest.of(b"x"), size)


@pytest.mark.parametrize(
    ("kind", "media_type", "size", "refused"),
    [
        (RegistryKind.ECR, LAYER, 52_000 * 1024**2, None),
        (RegistryKind.ECR, LAYER, 52_000 * 1024**2 + 1, PayloadTooLargeError),
        (RegistryKind.ECR, ARTIFACT_MANIFEST, 500, ManifestRefusedError),
        (RegistryKind.ECR, IMAGE_MANIFEST, 4 * 1024**2 + 1, PayloadTooLargeError),
        (RegistryKind.GITHUB, LAYER, 10 * GIB + 1, PayloadTooLargeError),
        (RegistryKind.AZURE, LAYER, 200 * GIB + 1, PayloadTooLargeError),
        (RegistryKind.AZURE, ARTIFACT_MANIFEST, 500, None),
        (RegistryKind.QUAY, LAYER, 20 * GIB + 1, PayloadTooLargeError),
        (RegistryKind.GENERIC, LAYER, 10**15, None),
    ],
)
def test_what_is_too_large_or_of_the_wrong_type_is_refused(
    kind: RegistryKind, media_type: str, size: int, refused: type[Exception] | None
) -> None:
    said = profile_of(kind, "").refusal(descriptor(media_type, size))
    assert type(said) is (refused or type(None))


def test_every_kind_has_one_profile() -> None:
    kinds = [profile.kind for profile in PROFILES]
    assert sorted(kinds) == sorted(set(RegistryKind) - {RegistryKind.AUTO})
