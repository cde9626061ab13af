"""Where a zot over a bucket is told that it lies."""

from pathlib import Path

import pytest

from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.zot_storage import zot_storage
from tests.support.buckets import moto_bucket
from tests.support.scripted_s3 import use_worthless_credentials


def test_the_region_is_the_buckets_own_also_for_who_has_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK follows where it is led to, so that a check of the bucket succeeds, and zot does not."""
    with moto_bucket("other", monkeypatch) as client:
        client.create_bucket(Bucket="mine", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        regions = {name: zot_storage(f"s3://{name}", BucketAccess())["storageDriver"] for name in ("mine", "other")}
    assert {name: driver["region"] for name, driver in regions.items()} == {
        "mine": "eu-central-1",
        "other": "us-east-1",
    }
    assert not any("regionendpoint" in driver for driver in regions.values())


def test_where_the_region_cannot_be_asked_for_that_of_the_settings_is_named_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use_worthless_credentials(monkeypatch)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert zot_storage("s3://mine", BucketAccess())["storageDriver"]["region"] == "eu-west-1"
    assert "of what region s3://mine is can't be asked" in caplog.text


def test_another_store_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    use_worthless_credentials(monkeypatch)
    driver = zot_storage("s3://mine", BucketAccess("http://127.0.0.1:1"))["storageDriver"]
    assert (driver["regionendpoint"], driver["forcepathstyle"]) == ("http://127.0.0.1:1", True)


@pytest.mark.parametrize(("style", "in_path"), [("virtual", False), ("path", True), (None, True)])
def test_zot_names_the_bucket_where_the_profile_wants_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, style: str | None, *, in_path: bool
) -> None:
    use_worthless_credentials(monkeypatch)
    (tmp_path / "config").write_text("[default]\n" + (f"s3 =\n  addressing_style = {style}\n" if style else ""))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    driver = zot_storage("s3://mine", BucketAccess("http://store.example:1"))["storageDriver"]
    assert (driver["regionendpoint"], driver["forcepathstyle"]) == ("http://store.example:1", in_path)
