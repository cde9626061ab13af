"""Addresses, endpoints and settings: what a user says of a bucket, before anything is sent."""

import subprocess
import sys
import threading
import traceback
from pathlib import Path

import pytest
from botocore.loaders import JSONFileLoader

from tasks.cleanup_applies import open_writable
from tasks.endpoints import open_source, open_state, own_name, source_identity
from tasks.oci.errors import ConfigurationError, SourceUnavailableError, SourceWriteError
from tasks.stop import Stop
from tasks.stores.bucket import s3_bucket, s3_client
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress, BucketLogin, check_endpoint_url
from tasks.stores.bucket.s3_client import make_client, make_clients, region_of
from tests.support.layouts import LayoutBuilder
from tests.support.scripted_registry import Reply, Request, ScriptedRegistry
from tests.support.scripted_s3 import page, use_program, use_worthless_credentials


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    use_worthless_credentials(monkeypatch)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "value", "endpoint"),
    [("AWS_PROFILE", "nobody", None), ("AWS_REGION", "eu-west-1", "not a url")],
)
def test_settings_that_make_no_sense_are_told(
    environment: pytest.MonkeyPatch, name: str, value: str, endpoint: str | None
) -> None:
    environment.setenv(name, value)
    with pytest.raises(ConfigurationError, match="settings for S3"):
        open_source("s3://bucket", access=BucketAccess(endpoint_url=endpoint))


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "", "no certificate"], ids=["not there", "empty", "of something else"])
def test_a_file_of_authorities_that_is_none_is_told_by_its_name(
    environment: pytest.MonkeyPatch, tmp_path: Path, variable: str, content: str | None
) -> None:
    """The SDK takes it, and then says of each request that TLS failed."""
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    environment.delenv("AWS_CA_BUNDLE", raising=False)
    environment.setenv(variable, str(bundle))
    with pytest.raises(ConfigurationError, match=f"{variable}.*{bundle}: "):
        make_client(BucketAccess(endpoint_url="https://127.0.0.1:1"))
    make_client(BucketAccess(endpoint_url="http://127.0.0.1:1"))


def test_an_empty_name_of_a_file_of_authorities_does_not_turn_the_look_at_certificates_off(
    environment: pytest.MonkeyPatch,
) -> None:
    """As it does with older releases of the SDK."""
    environment.setenv("AWS_CA_BUNDLE", "")
    with pytest.raises(ConfigurationError, match="AWS_CA_BUNDLE"):
        make_client(BucketAccess(endpoint_url="https://127.0.0.1:1"))


def test_what_is_written_is_signed_also_where_the_source_is_read_without_credentials(
    script: ScriptedRegistry,
) -> None:
    access = BucketAccess(script.url, anonymous=True)
    script.always("GET", "/bucket", page({}))
    open_state("s3://bucket", "/mnt/bucket", "host", access, Stop()).ledger("run")
    with open_writable("s3://bucket", access) as writable:
        assert not list(writable.files.list_files("."))
    assert len(script.requests) == 2
    assert all("authorization" in request.headers for request in script.requests)


def test_a_copy_within_the_store_has_more_time_than_any_other_request(
    script: ScriptedRegistry, environment: pytest.MonkeyPatch
) -> None:
    """Many stores say nothing until it is done, and a blob may have gigabytes."""

    def copied(_: Request) -> Reply:
        threading.Event().wait(1.0)
        return Reply(200, {"Content-Type": "application/xml"}, b"<R><ETag>a</ETag></R>")

    environment.setattr(s3_client, "READ_SECONDS", 0.2)
    script.expect("GET", "/bucket", page({}), page({"trash/app/blob": b"content"}))
    script.always("PUT", "/bucket/app/blob", copied)
    with open_writable("s3://bucket", BucketAccess(script.url)) as writable:
        assert writable.files.restore_files(["app/blob"], "trash") == {"app/blob"}
    assert len(script.asked("PUT", "/bucket/app/blob")) == 1


def test_a_copy_that_is_never_answered_is_asked_for_three_times_and_not_by_the_sdk_besides(
    script: ScriptedRegistry, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each time is a quarter of an hour, in which nobody can interrupt."""
    environment.setattr("botocore.endpoint.time.sleep", lambda _: None)  # between the SDK's own attempts
    environment.setattr(s3_client, "COPY_SECONDS", 0.1)
    script.expect("GET", "/bucket", page({}), page({"trash/app/blob": b"content"}))
    script.always("PUT", "/bucket/app/blob", Reply(deaf=True, silent=True))
    with (
        open_writable("s3://bucket", BucketAccess(script.url)) as writable,
        pytest.raises(SourceWriteError, match="app/blob can't be written"),
    ):
        writable.files.restore_files(["app/blob"], "trash")
    assert len(script.asked("PUT", "/bucket/app/blob")) == s3_bucket.ATTEMPTS
    assert caplog.messages == ["the S3 endpoint has not answered for 0 s, and is asked again"]


def test_clients_of_one_bucket_share_its_login(
    script: ScriptedRegistry, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What gives credentials may ask a person."""
    asked = use_program(tmp_path, environment)
    script.always("GET", "/bucket", page({}))
    for client in make_clients(BucketAccess(script.url), 1.0, 2.0):
        client.list_objects_v2(Bucket="bucket")
    assert asked.read_text() == "asked\n"


def test_no_credentials_are_looked_for_where_none_are_sent(
    environment: pytest.MonkeyPatch, tmp_path: Path, script: ScriptedRegistry
) -> None:
    """A program that is to give them may ask a person for a password, or wait for a cloud."""
    (tmp_path / "config").write_text(f"[default]\ncredential_process = touch {tmp_path / 'asked'}\n")
    environment.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.delenv(name)
    script.always("GET", "/bucket", page({}))
    assert not list(open_source("s3://bucket", access=BucketAccess(script.url, anonymous=True)).list_layouts())
    assert not (tmp_path / "asked").exists()


def test_a_program_for_credentials_that_is_not_there_is_a_wrong_setting(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\ncredential_process = /nonexistent/helper\n")
    environment.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.delenv(name)
    with pytest.raises(ConfigurationError, match=r"settings for S3 can't be used: .*/nonexistent/helper"):
        open_source("s3://bucket")


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_an_endpoint_with_a_password_is_refused_wherever_it_is_named_and_the_password_not_repeated(
    environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.setenv(name, "http://bob:hunter2@store.example.com")
    with pytest.raises(ConfigurationError, match="holds no credentials") as raised:
        open_source("s3://bucket")
    assert "hunter2" not in str(raised.value)


def test_addressing_is_by_path_wherever_the_endpoint_is_not_amazons() -> None:
    def address(endpoint: str | None) -> str:
        client = make_client(BucketAccess(endpoint_url=endpoint))
        return client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"}).partition("?")[
            0
        ]

    assert address("http://store.example.com") == "http://store.example.com/bucket/key"
    assert address(None).startswith("https://bucket.s3.")


def test_a_wish_of_the_profile_for_the_other_addressing_is_heard(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nendpoint_url = http://store.example.com\ns3 =\n  addressing_style = virtual\n")
    environment.setenv("AWS_CONFIG_FILE", str(config))
    url = make_client(BucketAccess()).generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    assert url.startswith("http://bucket.store.example.com/key")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_the_password_of_a_proxy_is_not_shown(environment: pytest.MonkeyPatch, scheme: str) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        environment.delenv(name, raising=False)
    environment.setenv("HTTPS_PROXY", f"{scheme}://bob:hunter2@127.0.0.1:1")
    source = open_source("s3://bucket", access=BucketAccess(endpoint_url="https://store.example.com"))
    with pytest.raises(SourceUnavailableError, match="proxy") as raised:
        source.list_layouts()
    assert "hunter2" not in "".join(traceback.format_exception(raised.value)), "Prefect keeps it, in a flow's log"


@pytest.mark.parametrize(
    ("source", "bucket", "prefix", "name"),
    [
        ("s3://bucket", "bucket", "", "bucket"),
        ("s3://bucket/", "bucket", "", "bucket"),
        ("s3://my.bucket/a b/é/", "my.bucket", "a b/é/", "é"),
    ],
)
def test_an_address_is_read(source: str, bucket: str, prefix: str, name: str) -> None:
    assert BucketAddress.parse(source) == BucketAddress(bucket, prefix)
    assert own_name(source) == name


@pytest.mark.parametrize(
    "source", ["s3://", "s3:///a", "s3://b?/x", "s3://bucket/a//b", "s3://bucket/../x", "gs://b"]
)
def test_what_is_no_address_is_refused(source: str) -> None:
    with pytest.raises(ConfigurationError):
        open_source(source)


@pytest.mark.parametrize(
    "url",
    ["store.example.com", "ftp://store", "http://", "https://user:secret@store", "http://store:99999", "http://[::1"],
)
def test_what_is_no_endpoint_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^an endpoint ") as raised:
        check_endpoint_url(url)
    assert "secret" not in str(raised.value)


def test_buckets_of_one_name_at_two_stores_are_two_sources(environment: pytest.MonkeyPatch) -> None:
    at_amazon = source_identity("s3://bucket/a/", BucketAccess())
    here = source_identity("s3://bucket/a", BucketAccess("http://here"))
    environment.setenv("AWS_ENDPOINT_URL", "http://here")
    assert source_identity("s3://bucket/a", BucketAccess()) == here != at_amazon == "s3://bucket/a"


@pytest.mark.parametrize(
    "setting", ["endpoint_url = {}", "services = mine\n[services mine]\ns3 =\n  endpoint_url = {}"], ids=["all", "S3"]
)
def test_so_are_those_at_two_stores_that_only_the_profile_tells_apart(
    environment: pytest.MonkeyPatch, tmp_path: Path, setting: str
) -> None:
    """One ledger for both would have the tags of one vanish, and be deleted at the target, when the other is read."""
    said = f"credential_process = touch {tmp_path / 'asked'}\n{setting}\n"
    (tmp_path / "amazon").write_text("[default]\nregion = eu-west-1\n")
    for name in ("here", "there"):
        (tmp_path / name).write_text(f"[default]\n{said.format(f'http://{name}/')}")

    def identity(config: str) -> str:
        environment.setenv("AWS_CONFIG_FILE", str(tmp_path / config))
        return source_identity("s3://bucket/a", BucketAccess())

    assert identity("amazon") == "s3://bucket/a"
    assert len({identity(config) for config in ("amazon", "here", "there")}) == 3
    assert not (tmp_path / "asked").exists(), "which may ask a person for a password"
    of_profile = identity("here")
    environment.setenv("AWS_ENDPOINT_URL", "http://here")
    assert identity("amazon") == of_profile


def test_a_directory_does_not_wait_for_the_sdk(tmp_path: Path) -> None:
    LayoutBuilder(tmp_path / "app").write()
    code = (
        "import sys; from flows.cli import main\n"
        f"main(['ls', {str(tmp_path)!r}], standalone_mode=False)\n"
        "assert not {'boto3', 'botocore', 'prefect'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_the_sdk_knows_of_a_service_is_read_once(environment: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = JSONFileLoader.load_file

    def counted(self: JSONFileLoader, file_path: str) -> object:
        read.append(file_path)
        return load(self, file_path)

    environment.setattr(JSONFileLoader, "load_file", counted)
    make_client(BucketAccess("http://127.0.0.1:1"))
    read.clear()
    make_client(BucketAccess("http://127.0.0.1:2"))
    assert read == []


def test_a_profile_that_is_named_counts_and_not_the_one_of_the_environment(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[profile named]\nregion = eu-west-1\n")
    environment.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    environment.setenv("AWS_PROFILE", "nobody")
    environment.delenv("AWS_REGION", raising=False)
    environment.delenv("AWS_DEFAULT_REGION", raising=False)
    assert make_client(BucketAccess(login=BucketLogin(profile="named"))).meta.region_name == "eu-west-1"


@pytest.mark.parametrize(
    ("named", "signed_for"), [(None, "us-east-1"), ("aws-global", "us-east-1"), ("eu-west-1", "eu-west-1")]
)
def test_requests_are_signed_for_a_region_that_there_is(
    environment: pytest.MonkeyPatch, named: str | None, signed_for: str
) -> None:
    environment.delenv("AWS_REGION", raising=False)
    environment.delenv("AWS_DEFAULT_REGION", raising=False)
    if named is not None:
        environment.setenv("AWS_DEFAULT_REGION", named)
    assert region_of(make_client(BucketAccess())) == signed_for


@pytest.mark.parametrize(
    ("named", "region"), [("eu-central-1", "eu-central-1"), ("", "eu-west-1"), (None, "eu-west-1")]
)
def test_the_region_may_be_named_as_it_is_to_other_sdks(
    environment: pytest.MonkeyPatch, named: str | None, region: str
) -> None:
    """Our messages name AWS_REGION, which boto3 does not read."""
    environment.delenv("AWS_REGION", raising=False)
    environment.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    if named is not None:
        environment.setenv("AWS_REGION", named)
    assert make_client(BucketAccess()).meta.region_name == region
    assert make_client(BucketAccess(login=BucketLogin(region="us-west-2"))).meta.region_name == "us-west-2"
