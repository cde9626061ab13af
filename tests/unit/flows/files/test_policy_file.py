"""A policy's file says what it means, or is refused with line and field."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from flows.files.policy_example import EXAMPLE
from flows.files.policy_file import PolicyFile, TagRuleFields, json_schema, load_policy
from flows.files.yaml_files import parse_model
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError
from tasks.operations.choosing.tag_order import OrderBy
from tasks.operations.cleanup.deciding.policy import DAY, OtherTags, Per, Period, Policy, Referrers
from tasks.operations.cleanup.values import Limits, QuarantineMode, Timing

SCHEMA = Path(__file__).parents[4] / "docs" / "schemas" / "policy-1.json"
START = "version: 1\npolicies:\n  - name: a\n    repositories: '**'\n"


def parsed(text: str) -> Policy:
    return parse_model(text, PolicyFile, name="p.yaml").to_policy(frozenset())


def loaded(text: str, folder: Path) -> Policy:
    (folder / "p.yaml").write_text(text)
    return load_policy(folder / "p.yaml")


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        parsed(text)
    return str(raised.value).splitlines()


def test_the_example_is_a_policy_that_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "cleanup.yaml"
    path.write_text(EXAMPLE)
    [only] = load_policy(path).policies
    assert only.rules[0].keep_all
    assert only.repositories.matches("any/where", None)


def test_the_example_shows_every_rule() -> None:
    rules = set(TagRuleFields.model_fields) - {"pulled_within"}  # which nobody can keep
    assert {rule for rule in rules if f"{rule}:" not in EXAMPLE} == set(), "show it in flows/files/policy_example.py"


def test_every_commented_line_of_the_example_is_right_too() -> None:
    lines = EXAMPLE.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("  # - name"))
    opened = [
        line.replace("# ", "", 1) if line.startswith(("  #", "# target", "# migrated")) else line for line in lines
    ]
    policy = parsed("\n".join(opened))
    assert lines[start] != opened[start]
    builds = policy.policies[0]
    assert [r.keep_last for r in builds.rules] == [10, None, None, None]
    assert builds.rules[1].keep_periods == tuple(zip(Period, (7, 4, 12, 3), strict=True))
    assert (builds.untagged_after, builds.orphans_after) == (30 * DAY, 30 * DAY)
    assert policy.gate == "registry.example:5000"


def test_every_field_means_what_it_says() -> None:
    policy = parsed(
        "version: 1\n"
        "defaults: {order_by: semver, unmatched: delete, untagged: {delete_after: 2d}}\n"
        "policies:\n"
        "  - name: a\n"
        "    repositories: {include: [team/*], exclude: [team/x]}\n"
        "    order_by: name\n"
        "    referrers: keep\n"
        "    empty_layouts: delete\n"
        "    tags:\n"
        "      - {match: 'v*', keep_newest_semver: 2, per: minor, keep_within: 1w}\n"
        "protect: {tags: ['prod-*'], digests: ['sha256:" + "a" * 64 + "']}\n"
        "blobs: {grace: 1d, ingest_after: 2h, multipart_after: 30m}\n"
        "quarantine: {mode: versions, hold: 10d}\n"
        "limits: {max_tags: 5, max_percent: null, min_tags_left: 2, max_bytes: 1G}\n"
        "target: host:5000/mirror\n"
    )
    [chosen] = policy.policies
    assert (chosen.order_by, chosen.other_tags, chosen.untagged_after) == (OrderBy.NAME, OtherTags.DELETE, 2 * DAY)
    assert (chosen.referrers, chosen.drop_empty_layouts) == (Referrers.KEEP, True)
    [rule] = chosen.rules
    assert (rule.keep_newest_semver, rule.per, rule.keep_within) == (2, Per.MINOR, 7 * DAY)
    assert policy.of("team/y") is chosen
    assert policy.of("team/x") is policy.of("team/y/z") is None
    assert chosen.protected_tags is not None
    assert chosen.protected_tags.matches(".", "prod-1")
    assert policy.protected_digests == {Digest("sha256:" + "a" * 64)}
    assert policy.timing == Timing(DAY, 10 * DAY, QuarantineMode.VERSIONS)
    assert (policy.ingest_after, policy.multipart_after) == (7200, 1800)
    assert policy.limits == Limits(5, None, 2, 1024**3)
    assert policy.gate == "host:5000/mirror"


def test_the_gate_can_be_opened_but_not_named_without_a_target() -> None:
    assert parsed(START + "target: host\nmigrated_only: false\n").gate is None
    assert "needs the target" in mistakes(START + "migrated_only: true\n")[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "p.yaml:1: it must hold fields"),
        ("version: 1\npolicies: []\n", "p.yaml:2: policies: it holds too few entries"),
        ("version: 2\npolicies: []\n", "p.yaml:1: version:"),
        (START + "    keep_last: 3\n", "p.yaml:5: policies.0.keep_last: there is no such field"),
        (
            START + "    untagged: {delete_afer: 3d}\n",
            "p.yaml:5: policies.0.untagged.delete_afer: there is no such field; is delete_after meant?",
        ),
        (START + "    tags:\n      - match: '*'\n", "p.yaml:6: policies.0.tags.0: it keeps nothing"),
        (START + "    tags:\n      - match: '*'\n        keep_last: 0\n", "p.yaml:7: policies.0.tags.0.keep_last:"),
        (
            START + "    tags:\n      - match: 'regex:('\n        keep: all\n",
            "p.yaml:6: policies.0.tags.0.match.0: the pattern 'regex:(' can't be used",
        ),
        (
            START + "    tags:\n      - match: '*'\n        keep_within: 3\n",
            "p.yaml:7: policies.0.tags.0.keep_within: a dur",
        ),
        (
            START + "    tags:\n      - match: '*'\n        pulled_within: 3d\n",
            "p.yaml:7: policies.0.tags.0.pulled_within: a buck",
        ),
        (START + "    pulled_within: 3d\n", "p.yaml:5: policies.0.pulled_within: a bucket keeps no record of pulls"),
        (
            START + "    tags:\n      - {match: '*', keep: all, keep_last: 1}\n",
            "p.yaml:6: policies.0.tags.0: 'keep: all' goes",
        ),
        (
            START + "    tags:\n      - {match: '*', keep_last: 1, per: major}\n",
            "p.yaml:6: policies.0.tags.0: 'per' goes",
        ),
        (START + "limits:\n  max_bytes: lots\n", "p.yaml:6: limits.max_bytes: a size is"),
        (START + "limits:\n  max_percent: 200\n", "p.yaml:6: limits.max_percent:"),
        (START + "protect:\n  digests:\n    - sha256:abc\n", "p.yaml:7: protect.digests.0: not a sha256"),
        (START.replace("'**'", "2024"), "p.yaml:4: policies.0.repositories.0: it must be a text; put it between"),
        (
            START + "    tags:\n      - {match: 1.10, keep: all}\n",
            "p.yaml:6: policies.0.tags.0.match.0: it must be a text; put it between",
        ),
        (START + "target: https://host\n", "p.yaml:5: target: "),
        (START.replace("'**'", "'a:b'"), "p.yaml:4: policies.0.repositories.0: 'a:b' holds a tag"),
        (START + "  - name: a\n    repositories: b\n", "p.yaml:2: policies: two policies are called 'a'"),
    ],
)
def test_a_mistake_is_named_with_line_and_field(text: str, expected: str) -> None:
    assert any(line.startswith(expected) for line in mistakes(text)), mistakes(text)


@pytest.mark.parametrize(
    ("untagged", "expected"),
    [
        ("soon", "p.yaml:5: policies.0.untagged: it must be keep, or {delete_after: 30d}"),
        ("{delete_after: soon}", "p.yaml:5: policies.0.untagged.delete_after: a duration is"),
    ],
)
def test_of_a_field_with_two_forms_only_what_is_wrong_is_said(untagged: str, expected: str) -> None:
    (said,) = mistakes(START + f"    untagged: {untagged}\n")
    assert said.startswith(expected)


def test_lists_of_digests_are_read_from_files_of_any_form(tmp_path: Path) -> None:
    digests = ["sha256:" + letter * 64 for letter in "abc"]
    (tmp_path / "deployed.json").write_text(json.dumps({"images": [f"host/app@{digests[0]}"]}))
    (tmp_path / "more.txt").write_text(f"{digests[1]}\n# {digests[2]}\n")
    policy = loaded(START + "protect: {digest_files: [deployed.json, more.txt]}\n", tmp_path)
    assert policy.protected_digests == set(digests)


@pytest.mark.parametrize("content", [None, "nothing here"])
def test_a_list_that_would_protect_nothing_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "list").write_text(content)
    (tmp_path / "good").write_text(f"sha256:{'a' * 64}")
    with pytest.raises(ConfigurationError) as raised:
        loaded(START + "protect:\n  digest_files:\n    - good\n    - list\n    - none\n", tmp_path)
    assert [line.rpartition(f" {tmp_path}")[0] for line in str(raised.value).splitlines()] == [
        f"{tmp_path}/p.yaml:8: protect.digest_files.1:",
        f"{tmp_path}/p.yaml:9: protect.digest_files.2:",
    ]


def test_the_schema_does_not_offer_what_is_refused() -> None:
    schema = json.loads(json_schema())
    assert "pulled" not in json.dumps(schema)
    assert set(schema["required"]) == {"version", "policies"}


def test_the_published_schema_is_that_of_the_model() -> None:
    assert SCHEMA.read_text() == json_schema(), "make schemas"


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        ({}, True),
        ({"blobs": {"grace": "1w2d"}}, True),
        ({"blobs": {"grace": 7}}, False),
        ({"quarantine": {"hold": "7 days"}}, False),
        ({"limits": {"max_bytes": "50G"}}, True),
        ({"limits": {"max_bytes": "much"}}, False),
        ({"polices": []}, False),
    ],
)
def test_the_schema_takes_what_the_model_takes(change: dict[str, object], accepted: bool) -> None:
    content = yaml.safe_load(EXAMPLE) | change
    assert jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).is_valid(content) is accepted
    if accepted:
        PolicyFile.model_validate(content)
    else:
        with pytest.raises(ValidationError):
            PolicyFile.model_validate(content)
