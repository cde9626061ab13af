"""A migration file: what its mappings become, and how its mistakes are named."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from flows.cli import main
from flows.commands.mappings import mappings_of, overall
from flows.files.migration_file import MigrationFile, json_schema, load_migrations
from flows.files.yaml_variables import expanded
from flows.forms.parameters import MigrateParameters, VerifyParameters
from tasks.oci.errors import ConfigurationError

ROOT = Path(__file__).parents[4]
EXAMPLE = ROOT / "deployments" / "examples" / "migration.yaml"
SCHEMA = ROOT / "docs" / "schemas" / "migration-1.json"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "m.yaml"


def written(file: Path, text: str) -> MigrationFile:
    file.write_text(f"version: 1\n{text}")
    return load_migrations(file)


def mistakes(file: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        written(file, text)
    return [line.removeprefix(f"{file}:") for line in str(raised.value).splitlines()]


def test_a_mapping_takes_from_the_defaults_what_it_does_not_say(file: Path) -> None:
    found = written(
        file,
        "defaults: {target: 'a:1', jobs: 2, include: [x]}\n"
        "mappings:\n- source: /one\n- {source: /two, target: 'b:1', include: [y]}\n",
    )
    one, two = found.runs(MigrateParameters)
    assert (one.source, one.target, one.jobs, one.include) == ("/one", "a:1", 2, ["x"])
    assert (two.source, two.target, two.jobs, two.include) == ("/two", "b:1", 2, ["y"])


def test_a_field_is_left_empty_only_where_a_mapping_wants_nothing_of_what_the_defaults_say(file: Path) -> None:
    """An empty `backup_tag:` would overwrite without a backup, an empty `tags_from:` bring everything."""
    found = written(
        file,
        "defaults: {target: 'a:1', limit_rate: 5M, backup_tag: 'old-{tag}'}\n"
        "mappings:\n- {source: /one, limit_rate: null, backup_tag: null}\n",
    )
    assert [(each.limit_rate, each.backup_tag) for each in found.runs(MigrateParameters)] == [(None, None)]
    text = "defaults:\n  hours:\nmappings:\n- source: /one\n  target: a:1\n  on_conflict: overwrite\n  backup_tag:\n"
    assert mistakes(file, text) == [
        "3: defaults.hours: it is empty; give it a value, or leave the field out",
        "8: mappings.0.backup_tag: it is empty; give it a value, or leave the field out",
    ]


def test_a_bucket_that_everybody_may_read_is_said_of_one_mapping(file: Path) -> None:
    mappings = "- {source: 's3://own'}\n- {source: 's3://open', no_sign_request: true}\n"
    found = written(file, f"defaults: {{target: 'a:1'}}\nmappings:\n{mappings}")
    assert [each.no_sign_request for each in found.runs(MigrateParameters)] == [False, True]


def test_who_pays_by_the_defaults_can_t_go_without_credentials(file: Path) -> None:
    text = (
        "defaults: {request_payer: true}\nmappings:\n- {source: 's3://open', target: 'a:1', no_sign_request: true}\n"
    )
    [mistake] = mistakes(file, text)
    assert mistake.startswith("4: mappings.0.no_sign_request: who pays")


def test_the_order_of_the_defaults_is_for_the_mappings_that_say_how_many(file: Path) -> None:
    found = written(
        file,
        "defaults: {target: 'a:1', order_by: semver}\n"
        "mappings:\n- {source: /one, newest: 5}\n- source: /two\n- {source: /three, newest: 1, order_by: name}\n",
    )
    assert [(each.newest, str(each.order_by)) for each in found.runs(MigrateParameters)] == [
        (5, "semver"),
        (None, "created"),
        (1, "name"),
    ]
    assert mistakes(file, "mappings:\n- {source: /one, target: 'a:1', order_by: name}\n") == [
        "3: mappings.0.order_by: it is a setting of --newest"
    ]


def test_the_order_of_the_defaults_goes_with_their_number_unless_a_mapping_wants_all(file: Path) -> None:
    found = written(
        file,
        "defaults: {target: 'a:1', newest: 5, order_by: semver}\n"
        "mappings:\n- source: /one\n- {source: /two, newest: 1}\n- {source: /three, newest: null}\n",
    )
    assert [(each.newest, str(each.order_by)) for each in found.runs(MigrateParameters)] == [
        (5, "semver"),
        (1, "semver"),
        (None, "created"),
    ]


def test_ages_of_the_defaults_are_for_the_mappings_that_say_no_other(file: Path) -> None:
    found = written(
        file,
        "defaults: {target: 'a:1', newer_than: 365d, older_than: 6h}\n"
        "mappings:\n- source: /one\n- {source: /two, newer_than: 30d}\n- {source: /three, older_than: null}\n",
    )
    assert [(each.newer_than, each.older_than) for each in found.runs(VerifyParameters)] == [
        ("365d", "6h"),
        ("30d", "6h"),
        ("365d", None),
    ]
    text = "defaults: {target: 'a:1', newer_than: 6h}\nmappings:\n- {source: /s, older_than: 90d}\n"
    [mistake] = mistakes(file, text)
    assert mistake.startswith("4: mappings.0.older_than: nothing is at least 90d old and at most 6h, as --newer-than")


def test_a_list_is_for_one_mapping_and_goes_with_no_pattern_of_the_defaults(file: Path) -> None:
    wanted = "{source: /one, target: 'a:1', tags_from: images.txt"
    (found,) = written(file, f"defaults: {{exclude: [x]}}\nmappings: [{wanted}, exclude: []}}]\n").runs(
        MigrateParameters
    )
    assert (found.tags_from, found.exclude) == ("images.txt", [])
    assert mistakes(file, f"defaults: {{exclude: [x]}}\nmappings:\n- {wanted}}}\n") == [
        "4: mappings.0.tags_from: it says exactly what comes: leave out --exclude"
    ]


def test_a_verification_takes_of_a_mapping_what_it_has_and_goes_as_deep_as_ever_where_the_file_says_nothing(
    file: Path,
) -> None:
    pairs = [
        "{source: /one, target: 'a:1', rename: [b=c], since_last: true}",
        "{source: /two, target: 'a:1', depth: manifest}",
    ]
    one, two = written(file, f"defaults: {{on_conflict: skip}}\nmappings: [{', '.join(pairs)}]\n").runs(
        VerifyParameters
    )
    assert (one.source, one.rename, one.depth, two.depth) == ("/one", ["b=c"], "blobs", "manifest")


def test_a_verification_that_its_options_do_not_fit_is_refused_before_any_begins(file: Path) -> None:
    written(file, "mappings: [{source: /one, target: 'a:1'}]\n")
    ended = CliRunner().invoke(main, ["verify", "-c", str(file), "--standalone", "--content-part", "1/4"])
    assert (ended.exit_code, ended.stderr) == (2, "layoutlift: --content-part: it is a setting of --depth content\n")
    ended = CliRunner().invoke(main, ["verify", "-c", str(file), "--shards", "2"])
    assert ended.stderr == "layoutlift: --shards does not go with --config, whose mappings take one process each\n"


def test_the_command_line_wins(file: Path) -> None:
    (one,) = written(file, "mappings: [{source: /one, target: 'a:1', jobs: 2}]\n").runs(
        MigrateParameters, {"jobs": 3}
    )
    assert one.jobs == 3


@pytest.mark.parametrize(("said", "typed"), [("since_last", "prove_again"), ("prove_again", "since_last")])
def test_what_is_typed_takes_the_place_of_what_it_does_not_go_with(file: Path, said: str, typed: str) -> None:
    """A file of nightly runs says `since_last`; after a loss, `verify` tells its user to type `--prove-again`."""
    text = f"defaults: {{target: 'a:1', {said}: true}}\nmappings: [{{source: /one}}, {{source: /two}}]\n"
    written(file, text)
    for each in mappings_of(file, MigrateParameters, {typed: True}, writes=True):
        assert (getattr(each, said), getattr(each, typed)) == (False, True)
    with pytest.raises(ConfigurationError, match="--prove-again: not with --since-last"):
        mappings_of(file, MigrateParameters, {typed: True, said: True}, writes=True)
    (mistake,) = mistakes(file, text.replace("source: /two", f"source: /two, {typed}: true"))
    assert "mappings.1.prove_again: not with --since-last" in mistake


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("mappings:\n- {target: 'a:1'}\n", ["3: mappings.0.source: neither the mapping nor the defaults say it"]),
        ("mappings:\n- {source: /s}\n", ["3: mappings.0.target: neither the mapping nor the defaults say it"]),
        ("mappings: []\n", ["2: mappings: it holds too few entries"]),
        (
            "mapings: []\n",
            [
                "2: mapings: there is no such field; is mappings meant?",
                "1: mappings: it is missing; add it to the file",
            ],
        ),
        (
            "mappings:\n- source: /s\n  target: a:1\n  limit_rate: fast\n",
            ["5: mappings.0.limit_rate: a rate is a number of bytes a second, with k, M or G behind it: 50M"],
        ),
        (
            "mappings:\n- source: ${NOWHERE_SET}\n  target: ${not this}\n",
            [
                "3: mappings.0.source: the environment has no variable NOWHERE_SET",
                "4: mappings.0.target: ${not this} is no variable; write ${NAME}, or $${ for the characters themselves",  # noqa: E501
            ],
        ),
        (
            "mappings:\n- source: ${NOWHERE_SET}\n  target: https://a\n  jbos: 3\n",
            [
                "3: mappings.0.source: the environment has no variable NOWHERE_SET",
                "4: mappings.0.target: a target is host[:port][/prefix], without a scheme (see --plain-http)",
                "5: mappings.0.jbos: there is no such field; is jobs meant?",
            ],
        ),
        (
            "mappings:\n- source: /s\n  target: a:1\n  include: [team/app]\n  exclude:\n  - v1\n  - ''\n",
            ["8: mappings.0.exclude.1: the pattern '' can't be used: it is empty"],
        ),
        (
            "defaults: {target: 'a:1', rename: [old]}\nmappings:\n- source: /s\n  rename: [a=b, a=c]\n",
            [
                "2: defaults.rename: not a rename of the form OLD=NEW, both repository paths: 'old'",
                "5: mappings.0.rename: two renames of the same path: 'a=c' and 'a=b'",
            ],
        ),
        (
            "mappings:\n- source: /s\n  target: a:1\n  newest: yes\n  max_requests: true\n  jobs: on\n",
            [
                "5: mappings.0.newest: it must be a number",
                "6: mappings.0.max_requests: it must be a number",
                "7: mappings.0.jobs: it must be a number",
            ],
        ),
    ],
)
def test_each_mistake_is_named_with_line_and_field(file: Path, text: str, named: list[str]) -> None:
    assert sorted(mistakes(file, text)) == sorted(named)


@pytest.mark.parametrize(
    ("defaults", "mapping"),
    [
        ("create_repositories", "scan_on_push"),
        ("scan_on_push", "create_repositories"),
        ("create_repositories", "immutable_tags"),
        ("immutable_tags", "create_repositories"),
    ],
)
def test_a_setting_and_what_it_is_one_of_may_stand_in_different_parts(
    file: Path, defaults: str, mapping: str
) -> None:
    text = f"defaults: {{target: 'a:1', {defaults}: true}}\nmappings: [{{source: /s, {mapping}: true}}]\n"
    (one,) = written(file, text).runs(MigrateParameters)
    assert (getattr(one, defaults), getattr(one, mapping)) == (True, True)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "defaults: {target: a, scan_on_push: true}\nmappings: [{source: /s, create_repositories: false}]\n",
            "3: mappings.0.scan_on_push: it is a setting of --create-repositories",
        ),
        (
            "defaults: {target: 'a:1', report: r.json}\nmappings:\n- source: /s\n- source: /t\n",
            "5: mappings.1.report: an earlier mapping writes the same file",
        ),
        (
            "mappings:\n- {source: /s, target: 'a:1', metrics: m}\n- source: /t\n  target: a:1\n  metrics: m\n",
            "6: mappings.1.metrics: an earlier mapping writes the same file",
        ),
        (
            "defaults: {target: 'a:1'}\nmappings:\n- {source: /s, report: r}\n- {source: /t, report: ./r}\n",
            "5: mappings.1.report: an earlier mapping writes the same file",
        ),
        (
            "defaults: {target: 'a:1'}\nmappings:\n- {source: /s, report: /x/../r}\n- {source: /t, report: /r}\n",
            "5: mappings.1.report: an earlier mapping writes the same file",
        ),
        (
            "defaults: {target: 'a:1'}\nmappings:\n- {source: /s, report: r}\n- {source: /t, metrics: r}\n",
            "5: mappings.1.metrics: an earlier mapping writes the same file",
        ),
        (
            "defaults: {target: 'a:1', report: r}\nmappings:\n- {source: /s, metrics: ./r}\n",
            "4: mappings.0.metrics: the mapping's report is the same file",
        ),
        (
            "defaults: {source: /s, target: 'a:1'}\nmappings:\n- {include: [x], metrics: a}\n- metrics: b\n",
            "5: mappings.1.metrics: an earlier mapping of this source and target writes metrics with the same labels",
        ),
    ],
)
def test_what_is_wrong_only_together_is_named_before_anything_runs(file: Path, text: str, named: str) -> None:
    assert mistakes(file, text) == [named]


def test_all_that_is_wrong_only_together_is_named_at_once(file: Path) -> None:
    text = (
        "defaults: {target: 'a:1', report: r, newest: 3}\n"
        "mappings:\n- source: /s\n- {source: /t, tags_from: l, scan_on_push: true}\n"
    )
    assert mistakes(file, text) == [
        "5: mappings.1.tags_from: it says exactly what comes: leave out --newest",
        "5: mappings.1.scan_on_push: it is a setting of --create-repositories",
        "5: mappings.1.report: an earlier mapping writes the same file",
    ]


def test_a_mapping_may_do_without_the_files_of_the_defaults(file: Path) -> None:
    found = written(
        file,
        "defaults: {target: 'a:1', report: r}\n"
        "mappings:\n- source: /s\n- {source: /t, report: null}\n"
        "- {source: /u, report: ''}\n- {source: /v, report: ''}\n",
    )
    assert [each.report for each in found.runs(MigrateParameters)] == ["r", None, "", ""]


def test_mappings_whose_metrics_can_be_told_apart_may_all_have_some(file: Path) -> None:
    text = "defaults: {source: /s}\nmappings:\n- {target: 'a:1', metrics: a}\n- {target: 'b:1', metrics: b}\n"
    more = "- {target: 'a:1', since_last: true, metrics: c}\n- {target: 'a:1', metrics: ''}\n- target: 'a:1'\n"
    found = written(file, text + more).runs(MigrateParameters)
    assert [each.metrics for each in found] == ["a", "b", "c", "", None]


@pytest.mark.parametrize("option", ["--report", "--metrics"])
def test_a_file_of_the_command_line_that_each_mapping_would_replace_is_refused(file: Path, option: str) -> None:
    file.write_text("version: 1\ndefaults: {target: 'a:1'}\nmappings: [{source: /one}, {source: /two}]\n")
    ended = CliRunner().invoke(main, ["migrate", "-c", str(file), "--standalone", option, "out"])
    assert ended.exit_code == 2
    assert ended.output.startswith(f"layoutlift: {option}: each mapping would replace it")


def test_one_name_is_not_that_of_two_sources(file: Path) -> None:
    two, targets = "[{source: /one}, {source: /two}]", "[{source: /one}, {source: /one, target: 'b:1'}]"
    named = "version: 1\ndefaults: {target: 'a:1', source_name: it}\nmappings: "
    file.write_text(named + two)
    with pytest.raises(ConfigurationError, match=r"mappings\.1\.source_name: an earlier mapping has this name"):
        load_migrations(file)
    assert [
        each.source_name for each in written(file, named.partition("\n")[2] + targets).runs(MigrateParameters)
    ] == ["it"] * 2
    file.write_text(named.replace(", source_name: it", "") + two)
    ended = CliRunner().invoke(main, ["migrate", "-c", str(file), "--standalone", "--source-name", "it"])
    assert (ended.exit_code, "--source-name: the file has several sources" in ended.output) == (2, True)


def test_a_password_in_a_target_is_refused_and_not_repeated(file: Path) -> None:
    (mistake,) = mistakes(file, "mappings: [{source: /s, target: 'me:hunter2@host'}]\n")
    assert "target" in mistake
    assert "hunter2" not in mistake


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("${A}/x", "a/x"),
        ("${B:-b}", "b"),
        ("${EMPTY:-b}", "b"),
        ("$${A}", "${A}"),
        ("$A", "$A"),
        ("${NESTED}", "${A}"),
    ],
)
def test_variables(text: str, becomes: str) -> None:
    assert expanded(text, {"A": "a", "EMPTY": "", "NESTED": "${A}"}) == becomes


def test_numbers_may_come_from_variables(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "7")
    text = "defaults: &d {jobs: '${WORKERS}'}\nmappings: [{<<: *d, source: /s, target: 'a:1'}]\n"
    assert [each.jobs for each in written(file, text).runs(MigrateParameters)] == [7]


def test_the_published_schema_is_that_of_the_model() -> None:
    assert SCHEMA.read_text() == json_schema(), "make schemas"


@pytest.mark.parametrize(
    ("change", "accepted"),
    [({}, True), ({"version": 2}, False), ({"mappings": []}, False), ({"defaults": {"jobz": 1}}, False)],
)
def test_the_schema_takes_what_the_model_takes(change: dict[str, Any], accepted: bool) -> None:
    schema = json.loads(SCHEMA.read_text())
    content = yaml.safe_load(EXAMPLE.read_text()) | change
    assert jsonschema.Draft202012Validator(schema).is_valid(content) is accepted


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 0], 0), ([0, 1], 1), ([2, 2], 2), ([3], 3), ([0, 2], 1), ([1, 130], 130)]
)
def test_one_exit_code_for_several_runs(codes: list[int], code: int) -> None:
    assert overall(codes) == code


@pytest.mark.parametrize("page", [EXAMPLE, ROOT / "docs/migrating.md"], ids=lambda page: page.name)
def test_patterns_of_the_examples_begin_below_their_source(page: Path) -> None:
    text = page.read_text()
    if page.suffix == ".md":
        (text,) = (part for part in text.split("```")[1::2] if "mappings:" in part)
        text = text.removeprefix("yaml\n")
    mappings = yaml.safe_load(text)["mappings"]
    assert any("include" in mapping for mapping in mappings)
    for mapping in mappings:
        below = [pattern.split("/")[0] for pattern in mapping.get("include", [])]
        assert Path(mapping["source"]).name not in below
