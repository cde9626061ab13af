"""What programs are told of the user's credentials."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tasks.benchmark_values.paths import Origin, PathSpec, altered
from tasks.operations.benchmark.catalogue import CATALOGUE
from tasks.stores.benchmark.program_environment import past_proxies
from tasks.stores.benchmark.venue import Venue
from tasks.stores.benchmark.venues import bucket_venue
from tests.support.buckets import moto_bucket
from tests.support.scripted_s3 import use_worthless_credentials

if TYPE_CHECKING:
    from tasks.stores.benchmark.counting_proxy import CountingProxy

AMAZON: dict[str, Any] = {"endpoint_url": None, "registry": None, "plain_http": False}
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
    found = bucket_venue(
        "run", "s3://bucket", endpoint_url="http://127.0.0.1:9", registry=None, plain_http=False, is_read=True
    )
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


def test_all_programs_ask_the_endpoint_that_was_chosen_whatever_else_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "http://elsewhere:1")
    found = bucket_venue(
        "run", "s3://bucket", endpoint_url="http://127.0.0.1:9", registry=None, plain_http=False, is_read=True
    )
    through = found.through(cast("CountingProxy", SimpleNamespace(url="http://127.0.0.1:10")))
    for venue, endpoint in ((found, "http://127.0.0.1:9"), (through, "http://127.0.0.1:10")):
        assert venue.endpoint == endpoint
        told = venue.environment_of(CATALOGUE["native"])
        assert {told["AWS_ENDPOINT_URL_S3"], told["AWS_ENDPOINT_URL"]} == {endpoint}


def test_mounts_ask_the_endpoint_that_a_profile_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nendpoint_url = http://127.0.0.1:9\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    found = bucket_venue("run", "s3://bucket", endpoint_url=None, registry=None, plain_http=False, is_read=True)
    assert found.endpoint == "http://127.0.0.1:9"


def test_none_is_named_where_the_sdk_ignores_what_a_variable_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_worthless_credentials(monkeypatch)
    (tmp_path / "config").write_text("[default]\nignore_configured_endpoint_urls = true\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    found = bucket_venue("run", "s3://bucket", **AMAZON, is_read=False)
    assert found.endpoint is None


def test_no_proxy_is_on_the_way_to_this_machine() -> None:
    assert past_proxies({"HTTP_PROXY": "p", "no_proxy": "a,b"})["NO_PROXY"] == "a,b,127.0.0.1"
    assert past_proxies({})["no_proxy"] == "127.0.0.1"


def test_a_program_of_the_users_is_found_from_whatever_folder_it_is_run_in(
    venue: Venue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("oras", "mine.sh"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("LAYOUTLIFT_TOOLS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    path = PathSpec(name="mine", origin=Origin.DIRECTORY, pull=("./mine.sh", "{out}"))
    assert venue.why_not(path) == ""
    assert venue.command(path.pull, {"out": "/out"}) == [str(tmp_path / "mine.sh"), "/out"]


@pytest.mark.parametrize(
    ("here", "said"),
    [
        ({}, "oras: oras 1"),
        ({"local_s3": True}, "oras: oras 1; weed: weed 1"),
        ({"local_s3": True, "registry": "h/n"}, "oras: oras 1; weed: weed 1; docker-registry: docker-registry 1"),
        ({"local_s3": True, "registry": "h/n", "has_others_registry": True}, "oras: oras 1; weed: weed 1"),
        ({"registry": "h/n", "has_others_registry": True}, "oras: oras 1"),
    ],
)
def test_what_does_the_work_beside_the_paths_says_its_version(
    venue: Venue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: dict[str, Any], said: str
) -> None:
    """Whatever mount it goes through, it is oras that pulls."""
    for name in ("oras", "weed", "docker-registry"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} 1\necho more\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("LAYOUTLIFT_TOOLS", str(tmp_path))
    assert replace(venue, **here).program_versions() == said


@pytest.mark.parametrize("named", ["us-east-1", "eu-west-1", None])
def test_a_bucket_of_amazons_is_mounted_in_its_own_region_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    """The SDK follows where it is led to, and mounts don't; s3fs does not find the endpoint of a region either."""
    with moto_bucket("other", monkeypatch) as client:
        client.create_bucket(Bucket="mine", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        if named is not None:
            monkeypatch.setenv("AWS_REGION", named)
        found = bucket_venue("run", "s3://mine/a", **AMAZON, is_read=True)
    told = found.environment_of(CATALOGUE["native"])
    regions = {found.region, found.client.meta.region_name, told["AWS_REGION"], told["AWS_DEFAULT_REGION"]}
    assert regions == {"eu-central-1"}
    assert "url=https://s3.eu-central-1.amazonaws.com" in filled(found, "s3fs")
    assert filled(found, "goofys")[-4:-2] == ["--region", "eu-central-1"]
    assert "--endpoint" not in filled(found, "goofys")


def test_nothing_is_asked_of_a_bucket_that_no_path_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    found = bucket_venue("run", "s3://none-that-is-read", **AMAZON, is_read=False)
    assert "url=https://s3.eu-west-1.amazonaws.com" in filled(found, "s3fs")


def test_s3fs_asks_another_store_where_all_others_do(venue: Venue) -> None:
    through = venue.through(cast("CountingProxy", SimpleNamespace(url="http://127.0.0.1:10")))
    assert "url=http://127.0.0.1:9" in filled(venue, "s3fs")
    assert "url=http://127.0.0.1:10" in filled(through, "s3fs")


def filled(venue: Venue, name: str) -> list[str]:
    values = {"bucket": "mine", "prefix": "a", "mountpoint": "/mnt", "cache": "/cache"}
    return venue.filled(CATALOGUE[name].mount_command, values)
