"""Every mistake in a YAML file is named with its line and field."""

import time
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from flows.files.yaml_files import MAX_FILE_SIZE, load_model, parse_model
from tasks.oci.errors import ConfigurationError


class Rule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keep_last: int = Field(ge=1)


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int
    rules: list[Rule] = []
    named: dict[str, Rule] | None = None


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        parse_model(text, Document, name="f.yaml")
    return str(raised.value).splitlines()


def test_a_good_file_becomes_its_model(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("version: 1\nrules:\n  - keep_last: 3\n")
    assert load_model(path, Document) == Document(version=1, rules=[Rule(keep_last=3)])


def test_every_mistake_has_its_line_and_field() -> None:
    found = mistakes("version: one\nrules:\n  - keep_last: 0\n  - keep_least: 2\n")
    assert [each.split(": ")[:2] for each in found] == [
        ["f.yaml:1", "version"],
        ["f.yaml:3", "rules.0.keep_last"],
        ["f.yaml:4", "rules.1.keep_last"],
        ["f.yaml:4", "rules.1.keep_least"],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rules: []", "f.yaml:1: version: it is missing; add it to the file"),
        (
            "version: 1\nrules:\n  - {}\n",
            "f.yaml:3: rules.0.keep_last: it is missing; add it to what begins in this line",
        ),
        ("version: one", "f.yaml:1: version: it must be a whole number"),
        ("version: 1\nrules: 3", "f.yaml:2: rules: it must be a list"),
        ("version: 1\nrules: [{keep_last: 0}]", "f.yaml:2: rules.0.keep_last: it must be greater than or equal to 1"),
        ("version: [", "f.yaml:1: this is no YAML"),
        ("- version", "f.yaml:1: it must hold fields"),
        ("", "f.yaml:1: it must hold fields"),
        ("version: 1\nversion: 2\n", "f.yaml:2: version: is given twice"),
        ("version: 1\nrules:\n  - keep_last: 1\n    keep_last: 2\n", "f.yaml:4: keep_last: is given twice"),
        ("version: !!python/object:os.system x", "f.yaml:1: this is no YAML: could not determine a constructor"),
        ("[" * 5000, "this is no YAML"),
        ("version: 2026-13-01", "f.yaml:1: this is no YAML: '2026-13-01' is no timestamp"),
        ("version: 1\nrules:\n  - keep_last: 0b_\n", "f.yaml:3: this is no YAML: '0b_' is no int"),
        ("version: !!int ''", "f.yaml:1: this is no YAML: '' is no int"),
        ("version: !!bool perhaps", "f.yaml:1: this is no YAML: 'perhaps' is no bool"),
        ("version: !!timestamp soon", "f.yaml:1: this is no YAML: 'soon' is no timestamp"),
    ],
)
def test_what_is_no_document_is_said_so(text: str, expected: str) -> None:
    assert expected in mistakes(text)[0]


def test_a_mistake_in_what_wins_over_a_merged_value_has_its_own_line() -> None:
    text = "version: 1\nrules:\n  - &base\n    keep_last: 3\n  - <<: *base\n    keep_last: none\n"
    assert mistakes(text) == ["f.yaml:6: rules.1.keep_last: it must be a whole number"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\nruls: []\n", "f.yaml:2: ruls: there is no such field; is rules meant?"),
        (
            "version: 1\nrules:\n- {keep_last: 1, Keep-Last: 2}\n",
            "f.yaml:3: rules.0.Keep-Last: there is no such field; is keep_last meant?",
        ),
        ("version: 1\nrules:\n- {keep_last: 1, rles: 2}\n", "f.yaml:3: rules.0.rles: there is no such field"),
        (
            "version: 1\nnamed: {a: {keep_lst: 1, keep_last: 1}}\n",
            "f.yaml:2: named.a.keep_lst: there is no such field; is keep_last meant?",
        ),
    ],
)
def test_a_misspelt_field_is_held_against_those_that_may_be_at_its_place(text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


def test_aliases_that_stand_for_a_billion_nodes_cost_no_more_than_they_are_lines() -> None:
    lines = ["a0: &a0 [1]", *(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(9))]
    assert "f.yaml:9: a8: there is no such field" in mistakes("\n".join(lines))


def test_merges_that_stand_for_a_billion_values_are_refused_where_they_grow_too_many() -> None:
    lines = [
        "a0: &a0 {b: 1, c: 2}",
        *(f"a{n + 1}: &a{n + 1} {{<<: [{', '.join([f'*a{n}'] * 10)}]}}" for n in range(9)),
    ]
    (told,) = mistakes("\n".join(lines))
    assert told == "f.yaml:6: this is no YAML: merges (<<) bring more than 100,000 values into this file"


def test_small_merges_of_many_places_count_together() -> None:
    base = ", ".join(f"a{n}: 1" for n in range(1_000))
    (told,) = mistakes("\n".join([f"base: &base {{{base}}}", *(f"b{n}: {{<<: *base}}" for n in range(200))]))
    assert told.startswith("f.yaml:102: this is no YAML: merges")


@pytest.mark.parametrize("text", ["a: &a {<<: *a, b: 1}", "a: &a {<<: [*a], b: 1}"])
def test_what_merges_itself_is_taken_or_refused(text: str) -> None:
    assert mistakes(text)[0].startswith("f.yaml")


@pytest.mark.parametrize(
    "value", ["1:30", "1:30.5", "!!int 1:30", "!!float 1:30.5", "!!int '9" + ":59" * 100_000 + "'"]
)
def test_nothing_is_a_number_of_minutes_or_of_a_base_of_sixty(value: str) -> None:
    begin = time.thread_time()
    assert mistakes(f"version: {value}")[0].startswith("f.yaml:1: ")
    assert time.thread_time() - begin < 1


@pytest.mark.parametrize(
    "content", [None, b"\xff\xfe\x00", b"#" * (MAX_FILE_SIZE + 1)], ids=["none", "binary", "huge"]
)
def test_an_unreadable_file_is_a_configuration_error(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=str(path)):
        load_model(path, Document)
