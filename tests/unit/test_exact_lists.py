"""A list is read from a file, or from standard input, which can be read once."""

import io
import os
from pathlib import Path

import pytest

from tasks.choosing_options import read_exact_list
from tasks.oci.errors import ConfigurationError


def test_a_file_is_read_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "images.txt"
    for tag in ("v1", "v2"):
        file.write_text(f"\ufeffcaf\u00e9:{tag}\r\n", encoding="utf-8")
        found = read_exact_list(str(file))
        assert found is not None
        assert found.repositories == {"caf\u00e9": {tag: 1}}
    assert read_exact_list(None) is None


def test_a_list_whose_name_came_out_empty_is_not_taken_for_no_list() -> None:
    """As of a variable that is not set: everything would be migrated."""
    with pytest.raises(ConfigurationError, match=r"--tags-from: .*can't be read: Is a directory"):
        read_exact_list("")


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0b", "\x1c"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, separator: str) -> None:
    """What follows such a character in a comment is a comment still, and the numbers are those of editors."""
    file = tmp_path / "images.txt"
    file.write_text(f"# not{separator}app:v1\napp:v2\n", encoding="utf-8", newline="")
    found = read_exact_list(str(file))
    assert found is not None
    assert found.repositories == {"app": {"v2": 2}}


def test_standard_input_is_the_same_each_time_that_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for tag in ("v1", "v2"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"app:{tag}\n".encode())))
        assert [read_exact_list("-"), read_exact_list("-")] == [read_exact_list("-")] * 2
        found = read_exact_list("-")
        assert found is not None
        assert (found.name, found.repositories) == ("standard input", {"app": {tag: 1}})


def test_a_pipe_is_the_same_each_time_that_it_is_asked_for() -> None:
    """As a shell's <(...), which a run and its flow look at one after the other."""
    reader, writer = os.pipe()
    os.write(writer, b"app:v1\n")
    os.close(writer)
    found = [read_exact_list(f"/dev/fd/{reader}") for _ in range(2)]
    os.close(reader)
    assert [each and each.repositories for each in found] == [{"app": {"v1": 1}}] * 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "--tags-from: .*list can't be read: No such file or directory"),
        (b"app:v1\ncaf\xe9:v1\n", "--tags-from: .*list is not UTF-8"),
        (b"app:v1\nbad\n", "--tags-from: .*list:2: 'bad': it is not REPOSITORY:TAG"),
        (b"\n", "--tags-from: .*list lists nothing"),
    ],
)
def test_a_list_that_can_not_be_used_is_named(tmp_path: Path, content: bytes | None, why: str) -> None:
    if content is not None:
        (tmp_path / "list").write_bytes(content)
    with pytest.raises(ConfigurationError, match=why):
        read_exact_list(str(tmp_path / "list"))
