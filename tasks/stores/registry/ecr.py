"""Amazon ECR's own API beside its registry: authorization tokens, and repositories, which a push does not make.

Credentials are the AWS SDK's own chain. `AWS_ENDPOINT_URL_ECR` names another endpoint; `AWS_ENDPOINT_URL` does
not, because it is what leads to the S3 server that the source may be in.
"""

from __future__ import annotations

import base64
import logging
import re
import threading
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from tasks.oci.errors import (
    ConfigurationError,
    ConnectionFailedError,
    PermissionDeniedError,
    RateLimitedError,
    RegistryError,
    RegistryUnavailableError,
)
from tasks.registry_ports import RepositoryState
from tasks.stores.bucket.s3_errors import NO_CREDENTIALS
from tasks.stores.hidden_secrets import without_secrets
from tasks.stores.registry.credentials import Credentials
from tasks.stores.registry.registry_answers import may_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tasks.oci.errors import LayoutliftError
    from tasks.registry_ports import NewRepositories

logger = logging.getLogger(__name__)

_HOST = re.compile(r"(?P<account>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.")
_MOST_A_PAGE = 1000
_USUAL_LIFETIME = 12 * 3600.0
_DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "ExpiredTokenException"})
_THROTTLED = frozenset({"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"})
"""With 400, most of them; the SDK has asked six times by then."""


class _Client(Protocol):
    """What is used of boto3's client."""

    def get_authorization_token(self, **given: Any) -> dict[str, Any]: ...
    def create_repository(self, **given: Any) -> dict[str, Any]: ...
    def describe_repositories(self, **given: Any) -> dict[str, Any]: ...
    def describe_repository_creation_templates(self, **given: Any) -> dict[str, Any]: ...


def make_client(host: str, environment: Mapping[str, str]) -> _Client:
    """A client for the region that the registry's host names, else for the environment's own.

    Raises:
        ConfigurationError: there is no region, or the AWS profile is not usable.
    """
    found = _HOST.match(host)
    settings: dict[str, Any] = {  # a dictionary, because the stubs know the last one not yet
        "retries": {"mode": "standard", "max_attempts": 6},
        "ignore_configured_endpoint_urls": True,
    }
    try:
        client: _Client = boto3.Session().client(
            "ecr",
            region_name=found["region"] if found else environment.get("AWS_REGION"),
            endpoint_url=environment.get("AWS_ENDPOINT_URL_ECR"),
            config=Config(**settings),
        )
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(f"the AWS settings can't be used for {host}: {error}") from error
    return client


class EcrRegistry:
    """See the module, and `RepositoryKeeper`; safe to share."""

    def __init__(self, client: _Client, host: str) -> None:
        self._client = client
        found = _HOST.match(host)
        self._account = {"registryId": found["account"]} if found else {}
        self._lock = threading.Lock()
        self._known: dict[str, RepositoryState] | None = None
        self._made_by_push: tuple[str, ...] | None = None
        self._may_ask = True
        self._granted = False

    def credentials(self) -> Credentials | None:
        """A fresh authorization token with its lifetime; None where the SDK has no credentials or no right to it.

        Raises:
            RegistryError: AWS answers with another error.
        """
        try:
            answer = self._client.get_authorization_token()
        except NoCredentialsError:
            return None
        except (ClientError, BotoCoreError) as error:
            translated = self._error_of(error, "ecr:GetAuthorizationToken")
            if isinstance(translated, PermissionDeniedError):
                logger.warning("%s; other credentials are looked for", translated)
                return None
            raise translated from None
        self._granted = True
        granted = answer["authorizationData"][0]
        username, _, password = base64.b64decode(granted["authorizationToken"]).decode().partition(":")
        return Credentials(username, password, lifetime=_lifetime(granted.get("expiresAt")))

    def state(self, repository: str) -> RepositoryState:
        """See `RepositoryKeeper.state`; all repositories are listed once, a thousand a request."""
        with self._lock:
            if self._known is None:
                self._known = dict(self._list())
            if not self._may_ask:
                return RepositoryState()
            if repository in self._known:
                return self._known[repository]
            if self._made_by_push is None:
                self._made_by_push = self._prefixes()
            return RepositoryState(exists=False, comes_by_push=repository.startswith(self._made_by_push))

    def create(self, repository: str, settings: NewRepositories) -> None:
        """See `RepositoryKeeper.create`."""
        try:
            self._client.create_repository(
                repositoryName=repository,
                imageTagMutability="IMMUTABLE" if settings.immutable_tags else "MUTABLE",
                imageScanningConfiguration={"scanOnPush": settings.scan_on_push},
                **self._account,
            )
        except (ClientError, BotoCoreError) as error:
            if _code(error) != "RepositoryAlreadyExistsException":
                raise self._error_of(error, f"ecr:CreateRepository of {repository}") from None
        with self._lock:
            if self._known is not None:
                self._known[repository] = RepositoryState(immutable_tags=settings.immutable_tags)

    def _list(self) -> Iterator[tuple[str, RepositoryState]]:
        try:
            for answer in _pages(self._client.describe_repositories, self._account):
                for each in answer["repositories"]:
                    yield each["repositoryName"], _state(each)
        except (ClientError, BotoCoreError) as error:
            translated = self._error_of(error, "ecr:DescribeRepositories")
            if not isinstance(translated, PermissionDeniedError):
                raise translated from None
            self._may_ask = False  # whoever may only push, as by docker's login, learns the rest by pushing

    def _prefixes(self) -> tuple[str, ...]:
        """How names begin that a push makes by a template; which of several templates counts is left to AWS.

        The API tells of the account that asks, whose registry need not be the target.
        """
        found: list[str] = []
        try:
            for answer in _pages(self._client.describe_repository_creation_templates, {}):
                if self._account.get("registryId") in {None, answer.get("registryId")}:
                    found += _made_by_push(answer["repositoryCreationTemplates"])
        except (ClientError, BotoCoreError) as error:
            reason = self._error_of(error, "ecr:DescribeRepositoryCreationTemplates")
            logger.warning("%s; a repository that is not there counts as missing", reason)
        return tuple(found)

    def _error_of(self, error: Exception, attempted: str) -> LayoutliftError:
        """In our words: credentials that were there once come back, as those of a machine's own service."""
        translated = _translated(error, attempted)
        is_away = self._granted and not isinstance(error, ClientError)
        return ConnectionFailedError(str(translated)) if is_away else translated


def _pages(ask: Callable[..., dict[str, Any]], given: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The answers to a question that come a thousand entries at a time."""
    page: dict[str, Any] = {"maxResults": _MOST_A_PAGE, **given}
    while True:
        answer = ask(**page)
        yield answer
        if not answer.get("nextToken"):
            return
        page["nextToken"] = answer["nextToken"]


def _made_by_push(templates: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """How the names begin of what a push makes; a slash belongs to each prefix, and ROOT is that of any name."""
    for each in templates:
        if "CREATE_ON_PUSH" in each["appliedFor"]:
            yield "" if each["prefix"] == "ROOT" else f"{each['prefix'].removesuffix('/')}/"


def _state(described: Mapping[str, Any]) -> RepositoryState:
    """What AWS says of a repository; filters are of tags to which its mutability does not apply."""
    fixed = str(described.get("imageTagMutability")).startswith("IMMUTABLE")
    filters = described.get("imageTagMutabilityExclusionFilters") or ()
    return RepositoryState(immutable_tags=fixed, exceptions=tuple(str(each.get("filter")) for each in filters))


def _lifetime(ends: datetime | None) -> float:
    """Seconds until a token ends; the usual twelve hours where what AWS says can't be true."""
    left = (ends - datetime.now(UTC)).total_seconds() if ends is not None else 0.0
    return left if left > 0 else _USUAL_LIFETIME


def _code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _translated(error: Exception, attempted: str) -> LayoutliftError:
    if not isinstance(error, ClientError):
        reason = _in_short(error)
        if isinstance(error, NO_CREDENTIALS):
            return PermissionDeniedError(f"{attempted}: no usable AWS credentials: {reason}")
        return ConnectionFailedError(f"{attempted}: {reason}")
    words = _in_short(error.response.get("Error", {}).get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = f"{attempted}: AWS answered {_in_short(_code(error))}: {words}"
    return _kind_of(_code(error), status)(said, status=status)


def _kind_of(code: str, status: int) -> type[RegistryError]:
    if status == HTTPStatus.TOO_MANY_REQUESTS or code in _THROTTLED:
        return RateLimitedError
    if may_pass(status):
        return RegistryUnavailableError
    return PermissionDeniedError if code in _DENIED else RegistryError


def _in_short(words: object) -> str:
    """A line of what AWS says: of a wrong signature, it may repeat what was signed, the session's token included."""
    return without_secrets(" ".join(str(words).split()))[:200]
