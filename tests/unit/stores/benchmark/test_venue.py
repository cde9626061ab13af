"""What programs are told of the user's credentials."""

from itertools import count
from types import SimpleNamespace

import pytest

from tasks.benchmark_values.paths import altered
from tasks.operations.benchmark.catalogue import CATALOGUE
from tasks.stores.benchmark.venue import Venue, bucket_venue

TOKENS = ("AWS_SESSION_TOKEN", "AWSSESSIONTOKEN")


class ARole:
    """Credentials that are others whenever they are asked for, as those of a role are after an hour."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def get_frozen_credentials(self) -> SimpleNamespace:
        return SimpleNamespace(access_key="key", secret_key="secret", token=f"token {next(self._numbers)}")


@pytest.fixture
def venue(monkeypatch: pytest.MonkeyPatch) -> Venue:
    """A bucket whose credentials are a role's, while the environment has older ones."""
    for name, value in {"ACCESS_KEY_ID": "old", "SECRET_ACCESS_KEY": "old", "SESSION_TOKEN": "old"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWSSESSIONTOKEN", "old")
    found = bucket_venue("run", "s3://bucket", endpoint_url="http://127.0.0.1:9", registry=None, plain_http=False)
    found.client._request_signer._credentials = ARole()  # type: ignore[attr-defined]
    return found


def test_each_command_gets_the_credentials_as_they_are_then(venue: Venue) -> None:
    path = CATALOGUE["s3fs"]
    first, second = venue.environment_of(path), venue.environment_of(path)
    assert [first[name] for name in TOKENS] == ["token 1"] * 2
    assert [second[name] for name in TOKENS] == ["token 2"] * 2
    assert venue.whole_environment["AWS_SESSION_TOKEN"] == "token 3"
    assert (second["AWS_ACCESS_KEY_ID"], second["AWSACCESSKEYID"]) == ("key", "key")


def test_a_path_with_credentials_of_its_own_gets_none_of_ours(venue: Venue) -> None:
    path = altered(CATALOGUE, options=["rclone=s3-profile=other"])["rclone"]
    told = venue.environment_of(path)
    assert not {"old", "key", "secret"}.intersection(told.values())
    assert told["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"


def test_what_a_command_says_is_asked_with_the_credentials_too(venue: Venue) -> None:
    assert venue.run(CATALOGUE["aws-cli"], ["sh", "-c", "echo $AWS_SESSION_TOKEN"]) == "token 1\n"
