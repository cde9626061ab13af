"""Names of repositories and tags (distribution-spec v1.1.1, "Pulling manifests").

Directories and `ref.name` annotations may hold nearly anything; registries take little. What can be mapped
without guessing is mapped here, everything else is refused.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.oci.digest import Digest
from tasks.oci.errors import DigestOnlyError, InvalidReferenceError

if TYPE_CHECKING:
    from collections.abc import Mapping

REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
"""The annotation in which containerd, Docker and buildx keep the whole reference beside the tag."""
MAX_NAME_LENGTH = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_HOST = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_UNWANTED = re.compile(r"[^a-z0-9]+")
_REFERRERS_TAG = re.compile(r"(sha256|sha512)-([a-f0-9]{64,128})(\.(?:sig|att|sbom))?")
_HEX_LENGTHS = {"sha256": 64, "sha512": 128}
_SHOWN = 200
"""Characters of a name in a message."""
_SHOWN_OF_END = 150
"""As much of its end holds any tag, which has 128 at most."""


def is_repository(name: str) -> bool:
    """Whether registries take `name` as a repository name."""
    return _REPOSITORY.fullmatch(name) is not None


def is_tag(name: str) -> bool:
    """Whether registries take `name` as a tag."""
    return _TAG.fullmatch(name) is not None


def map_repository(path: str) -> str:
    """Turn a directory path into a repository name.

    A path that registries take is kept. In any other, each component that they would refuse goes to ASCII
    by NFKD and to lower case, and every other run of characters becomes one hyphen.

    Raises:
        InvalidReferenceError: nothing usable is left of a component.
    """
    name = "/".join(c if is_repository(c) else _map_component(c) for c in path.split("/"))
    if not is_repository(name):
        raise InvalidReferenceError(f"no repository name can be made of the path {_shown(path)}")
    return name


def _map_component(component: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", component).encode("ascii", "ignore").decode()
    return _UNWANTED.sub("-", ascii_only.lower()).strip("-")


def tag_of_ref_name(ref_name: str) -> str:
    """The tag that a `ref.name` annotation means: a bare tag, or the tag inside a full reference.

    ORAS writes the bare tag, containerd and skopeo may write `registry/repository:tag` (image-spec v1.1.1
    annotations.md lets `ref.name` hold either).

    Raises:
        DigestOnlyError: it is empty, a digest, or a reference that names one and no tag.
        InvalidReferenceError: it holds no tag, or one that registries don't take; tags are never changed.
    """
    if is_tag(ref_name):
        return ref_name
    if not ref_name:  # to clients in Go, no name; containerd writes it for an image whose name has no tag
        raise DigestOnlyError("index.json gives it an empty name, and so no tag")
    name, _, digest = ref_name.partition("@")
    last = name.rpartition("/")[2]
    tag = last.partition(":")[2]
    if is_tag(tag) and not _is_digest(last):
        return tag
    if _is_digest(digest or last):
        raise DigestOnlyError(f"index.json names it {_shown(ref_name)}, by its digest and without a tag")
    if "/" in name and ":" not in last:
        raise InvalidReferenceError(f"index.json names it {_shown(ref_name)}, which has no tag")
    raise InvalidReferenceError(f"registries don't take the tag {_shown(ref_name)}, and tags are not changed")


def tag_of_annotations(annotations: Mapping[str, str]) -> str:
    """The tag that the `ref.name` of an entry of an index means, for whose repository other annotations may be asked.

    containerd leaves the repository out, also of a reference that has both a tag and a digest: `1.25@sha256:...`.
    By itself that might as well be a repository and a digest; the whole reference beside it tells.

    Raises:
        DigestOnlyError, InvalidReferenceError: see `tag_of_ref_name`.
    """
    ref_name = annotations[REF_NAME]
    tag, at, _ = ref_name.partition("@")
    if at and is_tag(tag) and annotations.get(IMAGE_NAME, "").endswith(f":{ref_name}"):
        return tag_of_ref_name(annotations[IMAGE_NAME])
    return tag_of_ref_name(ref_name)


def _shown(name: str) -> str:
    """A name between quotes; of one that is too long, the middle is left out: its tag or digest is at its end."""
    if len(name) <= _SHOWN:
        return repr(name)
    return repr(f"{name[: _SHOWN - _SHOWN_OF_END - 1]}…{name[-_SHOWN_OF_END:]}")


def repository_of_reference(reference: str) -> str | None:
    """The repository that a whole reference names, without the registry's host; None where it is none.

    As Docker reads references, a first component is a host where it has a dot or port, or is `localhost`.
    """
    if is_tag(reference):
        return None
    name, at, digest = reference.partition("@")
    head, slash, rest = name.partition("/")
    if slash and (head == "localhost" or "." in head or ":" in head) and _is_host(head):
        name = rest
    path, colon, tag = name.rpartition(":")
    if not colon:
        path = name
    elif not is_tag(tag) or _is_digest(name):
        return None
    if at and not _is_digest(digest):
        return None
    return path if is_repository(path) else None


def repository_of_annotations(annotations: Mapping[str, str]) -> str | None:
    """The repository that the references on an entry of an index name, None where none of them does."""
    references = (annotations[name] for name in (IMAGE_NAME, REF_NAME) if name in annotations)
    return next(filter(None, map(repository_of_reference, references)), None)


def _is_digest(text: str) -> bool:
    return Digest.or_none(text) is not None


@dataclass(frozen=True, slots=True)
class ReferrersTag:
    """A tag that names a digest instead of a version: `sha256-<hex>`, or cosign's with a suffix."""

    subject: Digest
    suffix: str


def parse_referrers_tag(tag: str) -> ReferrersTag | None:
    """Read a referrers tag (distribution-spec v1.1.1 "Referrers Tag Schema"; cosign adds a suffix)."""
    match = _REFERRERS_TAG.fullmatch(tag)
    if match is None:
        return None
    algorithm, encoded, suffix = match.groups()
    if len(encoded) != _HEX_LENGTHS[algorithm]:
        return None
    return ReferrersTag(Digest(f"{algorithm}:{encoded}"), suffix or "")


def referrers_tag_of(tag: str, digest: str) -> ReferrersTag | None:
    """What a tag says that its content, with this digest, refers to; see `is_own_name`."""
    named = parse_referrers_tag(tag)
    return None if named is None or named.subject == digest else named


def is_own_name(tag: str, digest: Digest) -> bool:
    """Whether a tag is made of the very digest that it has: nothing refers to itself, so it is a name like any other.

    oc-mirror so names what it takes by digest.
    """
    return tag.partition(".")[0] in {f"{digest.algorithm}-{digest.encoded}", referrers_tag(digest)}


def is_referrers_tag(tag: str) -> bool:
    """Whether a tag names the referrers of a digest; one of sha512 may be cut to 64 characters."""
    match = _REFERRERS_TAG.fullmatch(tag)
    return match is not None and len(match[2]) in {64, _HEX_LENGTHS[match[1]]}


def is_referrers_list(tag: str, digest: str) -> bool:
    """Whether a tag of such content is one under which clients look for referrers; cosign's tags are no lists."""
    named = referrers_tag_of(tag, digest)
    return named is not None and not named.suffix


def referrers_tag(subject: Digest) -> str:
    """The fallback tag under which a registry without the referrers API keeps the referrers of `subject`."""
    return f"{subject.algorithm}-{subject.encoded[:64]}"


def _is_host(text: str) -> bool:
    """Whether `text` is a host that can be connected to, its port and IPv6 address within their bounds."""
    if _HOST.fullmatch(text) is None:
        return False
    try:
        return urlsplit(f"//{text}").port != 0
    except ValueError:
        return False


def _host_hint(text: str) -> str:
    """What may be wrong with what is no host."""
    if text.count(":") > 1 and "[" not in text:
        return "; an IPv6 address stands in brackets: [::1]:5000"
    return "; ports go from 1 to 65535" if re.fullmatch(r"[^:]+:[0-9]+", text) else ""


_AS_SOURCES_BEGIN = ("/", "./", "../", "~", "s3://")


@dataclass(frozen=True, slots=True)
class TargetAddress:
    """Where a migration goes: a registry's host and, below it, a prefix of repository names."""

    host: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> TargetAddress:
        """Read `host[:port][/prefix]`.

        Raises:
            InvalidReferenceError: a scheme, a tag or credentials are in it, it is a place as sources are, or
                the prefix is not a name.
        """
        if text.startswith(_AS_SOURCES_BEGIN):
            raise InvalidReferenceError("a target is a registry, no directory or bucket; SOURCE comes before TARGET")
        if "://" in text:
            raise InvalidReferenceError("a target is host[:port][/prefix], without a scheme (see --plain-http)")
        host, _, prefix = text.partition("/")
        if not _is_host(host):
            if "@" in text:  # never shown: it may be a password
                raise InvalidReferenceError("a login has no place in a target (see --username, --password-stdin)")
            raise InvalidReferenceError(f"not a registry host: {_shown(host)}{_host_hint(host)}")
        prefix = prefix.rstrip("/")
        if ":" in prefix or "@" in prefix:
            raise InvalidReferenceError(f"a target is host[:port][/prefix], without a tag: {_shown(prefix)}")
        if prefix and not is_repository(prefix):
            raise InvalidReferenceError(f"not a prefix that registries take: {_shown(prefix)}")
        return cls(host, prefix)

    def __str__(self) -> str:
        return f"{self.host}/{self.prefix}" if self.prefix else self.host

    @property
    def depth(self) -> int:
        """How many components the prefix has."""
        return self.prefix.count("/") + 1 if self.prefix else 0

    def repository(self, name: str) -> str:
        """The full repository name for `name` below the prefix.

        Raises:
            InvalidReferenceError: host and name together are longer than 255 characters.
        """
        full = f"{self.prefix}/{name}" if self.prefix and name else self.prefix or name
        if len(self.host) + 1 + len(full) > MAX_NAME_LENGTH:
            raise InvalidReferenceError(
                f"host and repository together have more than {MAX_NAME_LENGTH} characters: {_shown(full)}"
            )
        return full
