"""`layoutlift validate` tells the kinds of files apart by their fields."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import main

POLICY = (
    "version: 1\npolicies:\n  - name: dev\n    repositories: ['**']\n    tags:\n      - {{match: ['*'], {rule}: 3}}\n"
)


@pytest.mark.parametrize(
    ("content", "code", "expected"),
    [
        (POLICY.format(rule="keep_last"), 0, "a policy without mistakes"),
        (POLICY.format(rule="keep_least"), 2, ":6: policies.0.tags.0.keep_least: "),
        ("version: 1\nmappings:\n  - source: /a\n    target: r.example\n", 0, "a migration without mistakes"),
        ("version: 1\nmappings:\n  - sauce: /a\n    target: r.example\n", 2, ":3: mappings.0.sauce: "),
        ("version: 1\nchannels: []\nalerts: {}\n", 2, "is a file of alerts, which `layoutlift alerts apply` checks"),
    ],
)
def test_a_file_is_checked_as_the_kind_that_it_is(content: str, code: int, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(content)
    ended = CliRunner().invoke(main, ["validate", str(path)])
    assert ended.exit_code == code
    assert expected in ended.output


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (POLICY.format(rule="keep_last"), "a policy without mistakes"),
        ("version: 1\nmappings:\n  - source: /a\n    target: r.example\n", "a migration without mistakes"),
    ],
)
def test_a_pipe_is_checked_as_a_file_is(content: str, expected: str) -> None:
    """As what envsubst or another template's program prints."""
    reader, writer = os.pipe()
    os.write(writer, content.encode())
    os.close(writer)
    ended = CliRunner().invoke(main, ["validate", f"/dev/fd/{reader}"])
    os.close(reader)
    assert (ended.exit_code, expected in ended.output) == (0, True), ended.output


def test_mistakes_are_named_in_the_order_of_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("version: 1\nmappings:\n  - sauce: /a\n    target: r.example\nother: 1\nversion: 1\n")
    said = CliRunner().invoke(main, ["validate", str(path)]).output
    lines = [int(line.split(":")[-3]) for line in said.splitlines()]
    assert lines == sorted(lines)
    assert set(lines) == {3, 5, 6}
