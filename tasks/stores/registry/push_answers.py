"""What a registry's error answers to a push mean: to a request that opens an upload, to bytes, and to a manifest.

They are those of any request (`registry_answers.py`), and some of them say something else here.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from tasks.oci.errors import (
    ImmutableTagError,
    ManifestRefusedError,
    MissingReferencedContentError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RegistryError,
    RegistryUnavailableError,
    TargetFullError,
)
from tasks.stores.registry.registry_answers import LOCKED, error_of, listed_errors

if TYPE_CHECKING:
    from tasks.stores.registry.transport.http_answers import HttpAnswer

MISSING_CONTENT_CODES = frozenset(
    {
        "BLOB_UNKNOWN",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_UNKNOWN",
        "MANIFEST_INVALID",  # zot says so of a missing blob too; sending the children again does no harm
        "LayersNotFound",  # Amazon ECR
        "ReferencedImagesNotFound",  # Amazon ECR
    }
)
_OF_SESSION = frozenset({"", "UNKNOWN", "BLOB_UNKNOWN"})
"""With 404: an upload that was lost. Pulp, Artifactory and proxies say so without a code, and GitHub by the last."""
_IMMUTABLE = re.compile(
    r"\bimmutab(?:le|ility)\b|cannot be overwritten|does not allow updating assets|"
    r"/manifests/[^\s/]+ cannot be updated",
    re.IGNORECASE,
)
"""How Harbor (412), Amazon ECR (400, TAG_INVALID), Google, Alibaba, Nexus (400, BLOB_UPLOAD_INVALID) and others, also
by 403, refuse to move a tag; no status or code is common to them."""
_READ_ONLY = re.compile(
    r"^The operation is unsupported\.?$|\bread[- ]only\b|^Pushes to the registry are currently disabled",
    re.IGNORECASE,
)
"""How distribution, as a cache, and Quay say by 405 that they take nothing; as a rule it comes without a word. Amazon
ECR says by it what is wrong with a manifest."""
_READ_ONLY_MODE = re.compile(r"\bin read[- ]only mode\b", re.IGNORECASE)
"""How Harbor says so by 403; by that others say, in many words, that a login has no right to write."""
_NO_UPLOADS = "it takes no uploads: set to be read only, as while it collects garbage, or a cache of another registry"


def opening_error_of(answer: HttpAnswer, attempted: str) -> RegistryError:
    """The exception for an upload that the registry did not open.

    It is asked for without a body, and where that is too much, there is no room: Forgejo and Swift say so of quotas.
    """
    error = _read_only_error(answer, attempted) or error_of(answer, attempted)
    if not isinstance(error, PayloadTooLargeError):
        return error
    return _as(TargetFullError, error)


def _read_only_error(answer: HttpAnswer, attempted: str) -> RegistryError | None:
    """The exception for a registry that takes nothing at all; None where that is not what the answer says."""
    if not _says_read_only(answer):
        return None
    error = error_of(answer, attempted)
    kind = RegistryError if type(error) is PermissionDeniedError else type(error)
    return _as(kind, error, f" ({_NO_UPLOADS})")


def _says_read_only(answer: HttpAnswer) -> bool:
    said = [words for _, words in listed_errors(answer)]
    if answer.status == HTTPStatus.FORBIDDEN:
        return any(map(_READ_ONLY_MODE.search, said))
    return answer.status == HTTPStatus.METHOD_NOT_ALLOWED and all(map(_READ_ONLY.search, said))


def upload_error_of(answer: HttpAnswer, attempted: str) -> RegistryError:
    """The exception for bytes of a blob that the registry did not take into an upload that it had opened."""
    error = error_of(answer, attempted)
    if error.transient or not says_upload_lost(error):
        return error
    return _as(RegistryUnavailableError, error, " (of an upload that it had just opened)")


def says_upload_lost(error: RegistryError) -> bool:
    """Whether a refusal of a blob's bytes is of an upload that the registry does not know, or not as it was left.

    It says 416 where it has another part of it, as where a proxy sent a request twice; distribution 2.8 says 404.
    """
    is_unknown = error.status == HTTPStatus.NOT_FOUND and _OF_SESSION.issuperset(error.codes)
    return is_unknown or error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


def manifest_error_of(answer: HttpAnswer, attempted: str) -> RegistryError:
    """The exception for a manifest that the registry did not take."""
    if (of_all := _read_only_error(answer, attempted)) is not None:
        return of_all
    error = error_of(answer, attempted)
    missing = not MISSING_CONTENT_CODES.isdisjoint(error.codes)
    as_500 = answer.status == HTTPStatus.INTERNAL_SERVER_ERROR and missing  # distribution, of foreign layers
    as_501 = answer.status == HTTPStatus.NOT_IMPLEMENTED  # Gitea, of manifests of a form that it does not know
    held = LOCKED in error.codes or any(_IMMUTABLE.search(words) for _, words in listed_errors(answer))
    is_plain = type(error) is RegistryError or as_500 or as_501
    if not is_plain and not (held and type(error) is PermissionDeniedError):
        return error
    kind = ImmutableTagError if held else MissingReferencedContentError if missing else ManifestRefusedError
    return _as(kind, error)


def _as(kind: type[RegistryError], error: RegistryError, added: str = "") -> RegistryError:
    """The same answer, known to mean something else."""
    return kind(f"{error}{added}", status=error.status, codes=error.codes, retry_after=error.retry_after)
