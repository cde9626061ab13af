from typing import Any

import pytest

from flows.forms.benchmark_parameters import BenchmarkParameters
from flows.forms.benchmark_variables import with_article_variables
from tasks.benchmark_values.cases import MULTIS, SINGLES

NOTHING: dict[str, Any] = {
    "location": None,
    "sizes": (),
    "multis": (),
    "quick": False,
    "paths": (),
    "without": (),
    "path_bucket": (),
    "path_mount": (),
    "dat_file": None,
}
ALL = {
    "S3_BUCKET": "my-bucket",
    "DAT_FILE": "orastime.dat",
    "S3FS_TEST": "false",
    "S3FS_TDIR": "s3fs3",
    "GOOFYS_TEST": "true",
    "GOOFYS_S3_BUCKET": "other",
    "SINGLE_LIST": "8MiB 16MiB",
    "MULTI_LIST": "16MiBx8",
}


def test_the_articles_variables_are_understood() -> None:
    given, counted = with_article_variables(NOTHING, ALL)
    assert given == NOTHING | {
        "location": "s3://my-bucket",
        "sizes": ["8MiB 16MiB"],
        "multis": ["16MiBx8"],
        "without": ["s3fs"],
        "path_bucket": ["goofys=other"],
        "dat_file": "orastime.dat",
    }
    assert set(counted) == ALL.keys() - {"S3FS_TDIR", "GOOFYS_TEST"}


def test_what_was_given_wins() -> None:
    own = NOTHING | {"location": "local", "sizes": ("1MiB",), "without": ("rclone",), "dat_file": "mine.dat"}
    given, counted = with_article_variables(own, ALL)
    assert (given["location"], given["sizes"], given["dat_file"]) == ("local", ("1MiB",), "mine.dat")
    assert given["without"] == ["rclone", "s3fs"]
    assert set(counted) == {"S3FS_TEST", "MULTI_LIST"}


@pytest.mark.parametrize("option", [{"path_bucket": ("s3fs=mine",)}, {"path_mount": ("s3fs=/mnt/mine",)}])
def test_a_bucket_or_mount_that_was_given_for_a_path_wins_over_its_variable(option: dict[str, Any]) -> None:
    variables = {"S3FS_S3_BUCKET": "theirs", "GOOFYS_S3_BUCKET": "other"}
    given, counted = with_article_variables(NOTHING | option, variables)
    assert given["path_bucket"] == [*option.get("path_bucket", ()), "goofys=other"]
    assert counted == ["GOOFYS_S3_BUCKET"]


def test_a_path_that_was_asked_for_by_name_wins_over_its_switch() -> None:
    off = {"S3FS_TEST": "false", "GOOFYS_TEST": "false"}
    given, counted = with_article_variables(NOTHING | {"paths": ("s3fs, native",)}, off)
    assert (given["without"], counted) == (["goofys"], ["GOOFYS_TEST"])
    assert [path.name for path in BenchmarkParameters(**given).to_options().paths] == ["s3fs", "native"]
    assert with_article_variables(NOTHING | {"without": ("s3fs goofys",)}, off)[1] == []


@pytest.mark.parametrize("name", sorted(ALL))
def test_an_empty_variable_is_none(name: str) -> None:
    assert with_article_variables(NOTHING, {name: ""}) == (NOTHING, [])


def test_of_the_two_lists_the_one_that_is_not_set_is_the_scripts_own() -> None:
    singles, _ = with_article_variables(NOTHING, {"SINGLE_LIST": "1MiB"})
    assert (singles["sizes"], singles["multis"]) == (["1MiB"], list(MULTIS))
    multis, _ = with_article_variables(NOTHING, {"MULTI_LIST": "1MiBx2"})
    assert (multis["sizes"], multis["multis"]) == (list(SINGLES), ["1MiBx2"])
    cases = BenchmarkParameters(**singles).to_options().cases
    assert [case.label for case in cases] == ["1MiB", *MULTIS]


def test_an_option_about_sizes_leaves_the_scripts_own_lists_out() -> None:
    lists = {"SINGLE_LIST": "1MiB", "MULTI_LIST": "1MiBx2"}
    assert with_article_variables(NOTHING | {"quick": True}, lists) == (NOTHING | {"quick": True}, [])
    sizes = NOTHING | {"sizes": ("2MiB",)}
    assert with_article_variables(sizes, {"SINGLE_LIST": "1MiB"}) == (sizes, [])
    multis, counted = with_article_variables(NOTHING | {"multis": ("none",)}, lists)
    assert (multis["sizes"], multis["multis"], counted) == (["1MiB"], ("none",), ["SINGLE_LIST"])


def test_buckets_of_the_scripts_are_none_on_the_server_of_our_own() -> None:
    local = NOTHING | {"location": "local"}
    assert with_article_variables(local, {"S3_BUCKET": "b", "S3FS_S3_BUCKET": "other"}) == (local, [])


def test_without_variables_nothing_changes() -> None:
    assert with_article_variables(NOTHING, {"PATH": "/bin"}) == (NOTHING, [])
