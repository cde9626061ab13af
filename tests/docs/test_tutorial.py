"""The tutorial works as it is written: its commands are run in order, and print what it shows."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.real_parts import Registry, SeaweedFS, find_tool
from tasks.stores.local_parts.fuse import is_mounted, unmount
from tests.support.command import Layoutlift
from tests.support.console_blocks import Reader, matches, shown_in
from tests.support.real_parts import Cli, skipped_where_unavailable

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BUCKET = "lightweight-registry"


@pytest.fixture
def mountpoint(tmp_path: Path) -> Iterator[Path]:
    """Where the page mounts the bucket; unmounted here if the page did not come to that."""
    folder = tmp_path / "bucket"
    yield folder
    if is_mounted(folder):
        unmount(folder)


@pytest.fixture
def reader(
    tmp_path: Path,
    mountpoint: Path,
    seaweedfs: SeaweedFS,
    own_registry: Callable[..., Registry],
    oras_cli: Cli,
    layoutlift: Layoutlift,
) -> Reader:
    seaweedfs.create_bucket(BUCKET)
    with skipped_where_unavailable():
        programs = (Path(sys.executable), oras_cli.path, find_tool("s3fs"))
    path = os.pathsep.join([*(str(program.parent) for program in programs), os.environ["PATH"]])
    credentials = {name: value for name, value in seaweedfs.environment().items() if name != "AWS_ENDPOINT_URL"}
    names = {
        "/mnt/bucket": str(mountpoint),
        "http://localhost:8333": seaweedfs.endpoint,
        "localhost:5000": own_registry().host,
    }
    folder = tmp_path / "work"
    folder.mkdir()
    return Reader(folder, layoutlift.full_environment({**credentials, "PATH": path}), names)


@pytest.mark.fuse
def test_the_tutorial_can_be_followed(reader: Reader) -> None:
    assert reader.follow(PAGE.read_text()) > 15


def test_a_page_is_followed_line_by_line(tmp_path: Path) -> None:
    page = "text\n```console\n$ echo one \\\n> two\none two\n$ true\n```\n```sh\n$ false\n```\n"
    assert [(shown.command, shown.output) for shown in shown_in(page)] == [
        ("echo one \\\ntwo", ("one two",)),
        ("true", ()),
    ]
    assert Reader(tmp_path, os.environ, {}).follow(page) == 2


@pytest.mark.parametrize("block", ["$ false\n", "$ echo other\nshown\n", "$ echo more than is shown\n"])
def test_a_page_that_is_not_right_fails(tmp_path: Path, block: str) -> None:
    with pytest.raises(AssertionError):
        Reader(tmp_path, os.environ, {}).follow(f"```console\n{block}```\n")


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        (("a …", "b"), ["a   1", "b"], True),
        (("…", "b"), ["b"], True),
        (("…", "b"), ["1", "2", "b"], True),
        (("a", "b"), ["a"], False),
        (("a",), ["a", "b"], False),
        (("a.c",), ["abc"], False),
        ((), ["a"], False),
    ],
)
def test_output_is_compared_but_for_what_is_left_out(shown: tuple[str, ...], printed: list[str], fits: bool) -> None:
    assert matches(shown, printed) is fits
