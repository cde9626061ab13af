"""Amazon ECR's own API, as moto answers it: tokens with their end, repositories made as asked for."""

import base64
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    TokenRetrievalError,
)
from moto import mock_aws

from tasks.oci.errors import (
    ConfigurationError,
    ConnectionFailedError,
    PermissionDeniedError,
    RateLimitedError,
    RegistryError,
    RegistryUnavailableError,
)
from tasks.registry_ports import NewRepositories, RepositoryState
from tasks.stop import Stop
from tasks.stores.pacing import RequestGate
from tasks.stores.registry.credentials import Credentials
from tasks.stores.registry.ecr import EcrRegistry, make_client
from tasks.stores.registry.oras_provider import OrasProvider
from tasks.stores.registry.registry_auth import Authorizer
from tasks.stores.registry.request_retry import RequestRetry
from tasks.stores.registry.transport.http_pool import HttpPool
from tests.support.ecr_templates import MOTOS_ACCOUNT, answer_with_templates, template
from tests.support.scripted_registry import Reply, ScriptedRegistry

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch) -> Generator[EcrRegistry]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # where the source's S3 may be, and ECR is not
    answer_with_templates(monkeypatch)
    with mock_aws():
        yield EcrRegistry(make_client(HOST, {}), HOST)


class Answers:
    """A client whose methods answer, or raise, what a test says."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**given: Any) -> Any:
            self.asked.append((name, given))
            answer = self.answers[name]
            answer = answer.pop(0) if isinstance(answer, list) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def refusal(code: str, status: int = 400) -> ClientError:
    said: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(said, "Operation")


def grant(expires: datetime) -> dict[str, Any]:
    token = base64.b64encode(b"AWS:pass:word").decode()
    return {"authorizationData": [{"authorizationToken": token, "expiresAt": expires}]}


def test_a_token_is_granted_by_the_api(ecr: EcrRegistry) -> None:
    assert ecr.credentials() == Credentials("AWS", "123456789012-auth-token", lifetime=12 * 3600.0)


def test_a_token_lives_as_long_as_aws_says() -> None:
    ends = datetime.now(UTC) + timedelta(hours=6)
    found = EcrRegistry(Answers(get_authorization_token=grant(ends)), HOST).credentials()
    assert found is not None
    assert found.password == "pass:word"
    assert 6 * 3600 - 60 < found.lifetime <= 6 * 3600


NO_TEMPLATES = {"registryId": MOTOS_ACCOUNT, "repositoryCreationTemplates": []}
NO_LOGIN = [
    NoCredentialsError(),
    refusal("AccessDeniedException"),
    refusal("ExpiredTokenException"),
    PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
    CredentialRetrievalError(provider="custom-process", error_msg="https://me:hidden@vault/ is away"),
    TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"),
]


@pytest.mark.parametrize("error", NO_LOGIN, ids=lambda error: type(error).__name__)
def test_without_credentials_or_right_other_ways_are_left(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    assert EcrRegistry(Answers(get_authorization_token=error), HOST).credentials() is None
    assert "hidden" not in caplog.text


@pytest.mark.parametrize("error", NO_LOGIN, ids=lambda error: type(error).__name__)
def test_a_login_of_docker_alone_is_enough_to_push(error: Exception) -> None:
    """Whether a repository is there is then learnt by pushing."""
    keeper = EcrRegistry(Answers(describe_repositories=error), HOST)
    assert keeper.state("team/app") == RepositoryState(exists=True)


def test_credentials_that_are_away_for_a_moment_after_they_were_there_are_asked_for_again() -> None:
    """Else a run of a day would go on with another login, or end for want of one."""
    away = CredentialRetrievalError(provider="iam-role", error_msg="the machine's own service is busy")
    client = Answers(get_authorization_token=[grant(datetime.now(UTC)), away], describe_repositories=away)
    registry = EcrRegistry(client, HOST)
    assert registry.credentials() is not None
    with pytest.raises(ConnectionFailedError, match="busy"):
        registry.credentials()
    with pytest.raises(ConnectionFailedError, match="busy"):
        registry.state("team/app")


def test_another_refusal_is_told() -> None:
    with pytest.raises(RegistryError, match="ecr:GetAuthorizationToken: AWS answered ServerException"):
        EcrRegistry(Answers(get_authorization_token=refusal("ServerException")), HOST).credentials()


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, RateLimitedError),
        ("TooManyRequestsException", 429, RateLimitedError),
        ("ServerException", 500, RegistryUnavailableError),
        ("ServiceUnavailable", 503, RegistryUnavailableError),
        ("InvalidParameterException", 400, RegistryError),
    ],
)
def test_what_aws_refuses_for_the_moment_may_be_asked_for_again(
    code: str, status: int, kind: type[RegistryError]
) -> None:
    error = refusal(code, status)
    ecr = EcrRegistry(Answers(get_authorization_token=error, describe_repositories=error), HOST)
    for ask in (ecr.credentials, lambda: ecr.state("team/app")):
        with pytest.raises(kind, match=code) as raised:
            ask()
        assert type(raised.value) is kind
        assert raised.value.status == status


def test_a_login_that_aws_throttles_is_waited_for_as_a_registry_that_does(
    script: ScriptedRegistry, make_pool: Callable[..., HttpPool]
) -> None:
    answers = [refusal("ThrottlingException", 400), grant(datetime.now(UTC) + timedelta(hours=6))]
    ecr = EcrRegistry(Answers(get_authorization_token=answers), HOST)
    script.expect("GET", "/v2/", Reply(401, {"WWW-Authenticate": "Basic"}), Reply(200))
    gate = RequestGate(Stop())
    pool = make_pool(script.host, gate)
    provider = OrasProvider(script.host, pool, Authorizer(pool.origin, ecr.credentials, pool.send))
    assert RequestRetry(gate, Stop(), first_wait=0.001)(provider.knock).status == 200


def test_a_repository_is_made_as_asked_for(ecr: EcrRegistry) -> None:
    assert ecr.state("team/app") == RepositoryState(exists=False)
    ecr.create("team/app", NewRepositories(immutable_tags=True, scan_on_push=True))
    assert ecr.state("team/app") == RepositoryState(exists=True, immutable_tags=True)
    made = boto3.client("ecr", "eu-west-1", endpoint_url="https://api.ecr.eu-west-1.amazonaws.com")
    (found,) = made.describe_repositories()["repositories"]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    again = EcrRegistry(make_client(HOST, {}), HOST)
    assert again.state("team/app") == RepositoryState(exists=True, immutable_tags=True)


def test_a_repository_that_is_there_is_left_as_it_is(ecr: EcrRegistry) -> None:
    ecr.create("app", NewRepositories())
    ecr.create("app", NewRepositories(immutable_tags=True))
    assert EcrRegistry(make_client(HOST, {}), HOST).state("app").immutable_tags is False


def test_all_pages_are_read_and_each_once() -> None:
    pages = [
        {"repositories": [{"repositoryName": f"r{number}"}], **({"nextToken": "t"} if number < 2 else {})}
        for number in range(3)
    ]
    client = Answers(describe_repositories=pages)
    client.answers["describe_repository_creation_templates"] = NO_TEMPLATES
    ecr = EcrRegistry(client, HOST)
    assert [ecr.state(name).exists for name in ("r0", "r1", "r2", "r3")] == [True, True, True, False]
    asked = [given for name, given in client.asked if name == "describe_repositories"]
    assert [given.get("nextToken") for given in asked] == [None, "t", "t"]
    assert {given["registryId"] for given in asked} == {"123456789012"}


BY_A_PUSH = template("team", "CREATE_ON_PUSH", "REPLICATION")


@pytest.mark.parametrize(
    ("repository", "templates", "expected"),
    [
        ("team/app", [BY_A_PUSH], True),
        ("team/app", [template("team/", "CREATE_ON_PUSH")], True),
        ("team/app", [template("ROOT", "CREATE_ON_PUSH")], True),
        ("app", [template("other", "CREATE_ON_PUSH"), template("ROOT", "CREATE_ON_PUSH")], True),
        ("team/app", [template("team", "PULL_THROUGH_CACHE", "REPLICATION")], False),
        ("team", [BY_A_PUSH], False),
        ("teams/app", [BY_A_PUSH], False),
        ("app", [], False),
    ],
)
def test_a_repository_that_a_push_makes_by_a_template_is_known(
    ecr: EcrRegistry,
    monkeypatch: pytest.MonkeyPatch,
    repository: str,
    templates: list[dict[str, Any]],
    expected: bool,
) -> None:
    """A template's prefix ends with a slash, whether it is written or not, and ROOT stands for any."""
    answer_with_templates(monkeypatch, *templates)
    assert ecr.state(repository) == RepositoryState(exists=False, comes_by_push=expected)


def test_templates_are_asked_for_once_on_all_pages_and_only_where_a_repository_is_missing() -> None:
    pages: list[object] = [
        {**NO_TEMPLATES, "nextToken": "t"},
        {"registryId": MOTOS_ACCOUNT, "repositoryCreationTemplates": [BY_A_PUSH]},
    ]
    there = {"repositories": [{"repositoryName": "there"}]}
    client = Answers(describe_repositories=there, describe_repository_creation_templates=pages)
    ecr = EcrRegistry(client, HOST)
    assert ecr.state("there").exists
    assert [name for name, _ in client.asked] == ["describe_repositories"]
    assert [ecr.state(name).comes_by_push for name in ("team/a", "team/b", "c")] == [True, True, False]
    assert [given.get("nextToken") for name, given in client.asked[1:]] == [None, "t"]


def test_templates_of_another_account_than_the_registrys_do_not_count() -> None:
    """They are told of whoever asks, who may push to the registry of somebody else."""
    others = {"registryId": "999999999999", "repositoryCreationTemplates": [BY_A_PUSH]}
    client = Answers(describe_repositories={"repositories": []}, describe_repository_creation_templates=others)
    assert EcrRegistry(client, HOST).state("team/app") == RepositoryState(exists=False)


@pytest.mark.parametrize("error", [refusal("AccessDeniedException"), refusal("UnknownOperationException")])
def test_templates_that_nobody_tells_of_are_none_and_that_is_said_once(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    client = Answers(describe_repositories={"repositories": []}, describe_repository_creation_templates=error)
    ecr = EcrRegistry(client, HOST)
    assert [ecr.state(name) for name in ("a", "b")] == [RepositoryState(exists=False)] * 2
    assert caplog.text.count("ecr:DescribeRepositoryCreationTemplates") == 1


def test_which_tags_can_not_be_moved_is_known_before_a_push() -> None:
    def described(name: str, *filters: str) -> dict[str, Any]:
        excluded = [{"filterType": "WILDCARD", "filter": each} for each in filters]
        more = {"imageTagMutabilityExclusionFilters": excluded} if filters else {}
        return {"repositoryName": name.lower(), "imageTagMutability": name, **more}

    repositories = [
        *(described("MUTABLE"), described("IMMUTABLE")),
        *(described(f"{name}_WITH_EXCLUSION", "latest", "dev-*") for name in ("MUTABLE", "IMMUTABLE")),
    ]
    ecr = EcrRegistry(Answers(describe_repositories={"repositories": repositories}), HOST)
    states = {each["repositoryName"]: ecr.state(each["repositoryName"]) for each in repositories}
    held = {name: [tag for tag in ("latest", "dev-1", "v1") if each.holds(tag)] for name, each in states.items()}
    assert held == {
        "mutable": [],
        "immutable": ["latest", "dev-1", "v1"],
        "mutable_with_exclusion": ["latest", "dev-1"],
        "immutable_with_exclusion": ["v1"],
    }


def test_who_may_only_push_is_not_told_that_repositories_are_missing() -> None:
    ecr = EcrRegistry(Answers(describe_repositories=refusal("AccessDeniedException")), HOST)
    assert ecr.state("app").exists


def test_who_may_not_create_is_told_so() -> None:
    ecr = EcrRegistry(Answers(create_repository=refusal("AccessDeniedException")), HOST)
    with pytest.raises(PermissionDeniedError, match="ecr:CreateRepository of app"):
        ecr.create("app", NewRepositories())


def test_a_region_that_nobody_names_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(ConfigurationError, match="region"):
        make_client("registry.example", {})


def test_what_aws_repeats_of_a_signed_request_is_not_told() -> None:
    words = "The signature does not match:\nx-amz-security-token:hunter2\nAuthorization: Bearer hunter2"
    error = ClientError({"Error": {"Code": "InvalidSignatureException", "Message": words}}, "Operation")
    with pytest.raises(RegistryError, match="does not match") as caught:
        EcrRegistry(Answers(get_authorization_token=error), HOST).credentials()
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
