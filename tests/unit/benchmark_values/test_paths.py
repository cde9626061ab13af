from dataclasses import replace
from pathlib import Path

import pytest

from tasks.benchmark_values.paths import Origin, PathSpec, altered, chosen, fill
from tasks.oci.errors import ConfigurationError
from tasks.operations.benchmark.catalogue import CATALOGUE

NO_MOUNTS = ("native", "aws-cli", "s5cmd", "directory", "registry")
VALUES = {
    "bucket": "b",
    "prefix": "p/run/s3fs",
    "endpoint": "http://127.0.0.1:1",
    "s3_url": "http://127.0.0.1:1",
    "region": "r",
    "mountpoint": "/mnt",
    "cache": "/cache",
    "registry": "host/name",
    "plain_http": "--plain-http",
    "layout": "/mnt/junk",
    "tag": "8MiB",
    "out": "/out",
    "python": "python",
}


@pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
def test_every_command_of_the_catalogue_can_be_filled_in(spec: PathSpec) -> None:
    for command in (spec.mount_command, spec.pull, spec.unmount, spec.warm_up, spec.version):
        filled = fill(command, VALUES)
        assert "{" not in " ".join(filled)
    assert not spec.mount or ("/mnt" in fill(spec.mount_command, VALUES) and spec.unmount)


def test_without_an_endpoint_its_option_disappears_with_it() -> None:
    mount = ("mine", "-o", "url={endpoint}", "-o", "endpoint={region}")
    assert fill(mount, VALUES | {"endpoint": None}) == ["mine", "-o", "endpoint=r"]
    assert "--endpoint-url" not in fill(CATALOGUE["aws-cli"].pull, VALUES | {"endpoint": None})


def test_a_flag_that_is_not_wanted_takes_no_other_option_with_it() -> None:
    filled = fill(CATALOGUE["registry"].pull, VALUES | {"plain_http": None})
    assert "--no-tty" in filled
    assert "--plain-http" not in filled


def test_an_unknown_name_in_braces_is_named() -> None:
    with pytest.raises(ConfigurationError, match="bukket"):
        fill(("mount", "{bukket}"), VALUES)


@pytest.mark.parametrize("word", ["foo={bar", "foo=}", "{bucket!r}", "{bucket:>9}"])
def test_a_brace_that_is_no_name_is_named(word: str) -> None:
    with pytest.raises(ConfigurationError, match="in the command of a path") as refused:
        fill(("mount", word), VALUES)
    assert word in str(refused.value)
    assert fill(("mount", "foo={{bar}}"), VALUES) == ["mount", "foo={bar}"]


def test_paths_come_in_the_catalogues_order_and_unknown_ones_are_named() -> None:
    specs, named = chosen(CATALOGUE, ["native", "s3fs"], [])
    assert [spec.name for spec in specs] == ["s3fs", "native"]
    assert named
    assert "goofys" not in [spec.name for spec in chosen(CATALOGUE, [], ["goofys"])[0]]
    with pytest.raises(ConfigurationError, match="s4fs"):
        chosen(CATALOGUE, ["s4fs"], [])
    with pytest.raises(ConfigurationError, match="no path is left"):
        chosen(CATALOGUE, ["s3fs"], ["s3fs"])


def test_mount_options_are_passed_on_in_each_programs_own_way() -> None:
    options = ["s3fs=iam_role", "s3fs=use_cache=/tmp/x", "rclone=buffer-size=1M", "goofys=--cheap"]
    known = altered(CATALOGUE, options=options)
    s3fs = fill(known["s3fs"].mount_command, VALUES)
    assert s3fs[s3fs.index("iam_role") - 1] == "-o"
    assert s3fs[s3fs.index("use_cache=/tmp/x") - 1] == "-o"
    assert "--buffer-size=1M" in fill(known["rclone"].mount_command, VALUES)
    goofys = fill(known["goofys"].mount_command, VALUES)
    assert goofys[-3:] == ["--cheap", "b:p/run/s3fs", "/mnt"]
    assert CATALOGUE["s3fs"].options == ()


@pytest.mark.parametrize(
    "option",
    [
        *("s3fs=iam_role", "s3fs=iam_role=auto", "s3fs=profile=other", "goofys=--profile=other", "goofys=--profile"),
        *("rclone=s3-profile=other", "rclone=s3-env-auth", "rclone=s3-shared-credentials-file=/x"),
        *("rclone=s3-access-key-id=x", "geesefs=--iam", "geesefs=--shared-config=/x"),
        *("mount-s3=profile=other", "mount-s3=no-sign-request"),
    ],
)
def test_credentials_are_handed_over_unless_an_option_names_others(option: str) -> None:
    name = option.partition("=")[0]
    assert CATALOGUE[name].hands_over_credentials
    assert altered(CATALOGUE, options=[f"{name}=use_session_token"])[name].hands_over_credentials
    assert not altered(CATALOGUE, options=[option])[name].hands_over_credentials


def test_a_secret_is_no_mount_option_and_is_not_repeated() -> None:
    for option in (
        *("rclone=s3-secret-access-key=hidden", "rclone=s3-session-token=hidden"),
        *("rclone=s3-sse-customer-key=hidden", "goofys=--sse-c=hidden", "s3fs=proxy_password=hidden"),
    ):
        with pytest.raises(ConfigurationError, match="into the results") as refused:
            altered(CATALOGUE, options=[option])
        assert "hidden" not in str(refused.value)


def test_a_path_can_have_a_bucket_or_a_mount_of_its_own() -> None:
    known = altered(CATALOGUE, buckets=["goofys=other"], mounts=["s3fs=/mnt/mine", "mine=/mnt/any"])
    assert known["goofys"].bucket == "other"
    assert (known["s3fs"].mount_command, known["s3fs"].mounted_at) == ((), "/mnt/mine")
    assert known["mine"].origin is Origin.PUSHED


def test_a_mount_of_ones_own_is_found_from_whatever_folder_a_command_is_run_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert altered(CATALOGUE, mounts=["mine=./bucket"])["mine"].mounted_at == str(tmp_path / "bucket")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"options": ["iam_role"]}, "PATH=VALUE"),
        ({"options": ["native=x"]}, "mounted here"),
        ({"options": ["nobody=x"]}, "mounted here"),
        ({"buckets": ["nobody=x"]}, "bucket of its own"),
        ({"mounts": ["=x"]}, "PATH=VALUE"),
        ({"mounts": ["mount-s3=/mnt"]}, "pushed through"),
        *(({"mounts": [f"{name}=/mnt"]}, "through none") for name in NO_MOUNTS),
        ({"buckets": ["registry=x"]}, "bucket of its own"),
        ({"buckets": ["directory=x"]}, "bucket of its own"),
        ({"buckets": ["s3fs=s3://x"]}, "no bucket's name"),
        ({"buckets": ["s3fs=x/prefix"]}, "no bucket's name"),
        ({"buckets": ["s3fs=x"], "mounts": ["s3fs=/mnt"]}, "bucket of its own"),
        ({"options": ["s3fs=x"], "mounts": ["s3fs=/mnt"]}, "mounted here"),
    ],
)
def test_pairs_that_make_no_sense_are_refused(wrong: dict[str, list[str]], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        altered(CATALOGUE, **wrong)


def test_what_is_in_an_own_mount_is_in_no_bucket_that_we_know() -> None:
    known = altered(CATALOGUE, mounts=["s3fs=/mnt/mine", "mine=/mnt/any"])
    reading = {name for name, spec in known.items() if spec.reads_bucket}
    assert reading == {"goofys", "rclone", "geesefs", "mount-s3", "native", "aws-cli", "s5cmd"}


def test_a_path_with_other_commands_has_another_recipe_and_no_secret_is_in_it() -> None:
    path = PathSpec(name="mine", origin=Origin.PUSHED, mount=("mine", "{mountpoint}"), environment={"KEY": "secret"})
    others = (replace(path, mount=("mine", "-x")), replace(path, pull=("cp",)), replace(path, options=("a",)))
    assert len({each.recipe for each in (path, *others)}) == 4
    assert replace(path, environment={"KEY": "another"}).recipe == path.recipe


def test_s3fs_is_compared_with_what_it_was_measured_by_before_it_was_told_the_url_everywhere() -> None:
    s3fs = CATALOGUE["s3fs"]
    before = tuple(word.replace("{s3_url}", "{endpoint}") for word in s3fs.mount)
    assert before != s3fs.mount
    assert replace(s3fs, mount=before).recipe == s3fs.recipe
