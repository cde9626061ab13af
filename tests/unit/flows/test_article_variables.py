from flows.article_variables import with_article_variables

NOTHING = {"location": None, "sizes": (), "multis": (), "without": (), "path_bucket": (), "dat_file": None}
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
    assert given == {
        "location": "s3://my-bucket",
        "sizes": ["8MiB 16MiB"],
        "multis": ["16MiBx8"],
        "without": ["s3fs"],
        "path_bucket": ["goofys=other"],
        "dat_file": "orastime.dat",
    }
    assert set(counted) == ALL.keys() - {"S3FS_TDIR", "GOOFYS_TEST"}


def test_what_was_given_wins() -> None:
    own = NOTHING | {"location": "local", "sizes": ("1MiB",), "without": ("rclone",)}
    given, counted = with_article_variables(own, ALL)
    assert (given["location"], given["sizes"]) == ("local", ("1MiB",))
    assert given["without"] == ["rclone", "s3fs"]
    assert "S3_BUCKET" not in counted


def test_without_variables_nothing_changes() -> None:
    assert with_article_variables(NOTHING, {"PATH": "/bin"}) == (NOTHING, [])
