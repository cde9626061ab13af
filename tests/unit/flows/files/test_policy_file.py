"""A policy's file says what it means, or is refused with line and field."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from flows.files import digest_lists
from flows.files.policy_example import EXAMPLE
from flows.files.policy_file import PolicyFile, TagRuleFields, json_schema, load_policy
from flows.files.yaml_files import parse_model
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError
from tasks.operations.choosing.tag_order import DatedTag, OrderBy
from tasks.operations.cleanup.deciding.policy import DAY, OtherTags, Per, Period, Policy, Referrers
from tasks.operations.cleanup.deciding.retention import decide_tags
from tasks.operations.cleanup.values import PlanLimits, QuarantineMode, Timing

SCHEMA = Path(__file__).parents[4] / "docs" / "schemas" / "policy-1.json"
START = "version: 1\npolicies:\n  - name: a\n    repositories: '**'\n"


def parsed(text: str) -> Policy:
    return parse_model(text, PolicyFile, name="p.yaml").to_policy(frozenset())


def loaded(text: str, folder: Path) -> Policy:
    (folder / "p.yaml").write_text(text)
    return load_policy(folder / "p.yaml")[0]


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        parsed(text)
    return str(raised.value).splitlines()


def test_the_example_is_a_policy_that_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "cleanup.yaml"
    path.write_text(EXAMPLE)
    [only] = load_policy(path)[0].policies
    assert only.rules[0].keep_all
    assert only.repositories.matches("any/where", None)


def test_a_policy_is_read_once_and_its_digest_is_of_what_was_read(tmp_path: Path) -> None:
    """A shell's <(...) has nothing the second time, and a file may be another by then."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(EXAMPLE.replace("\n", "\r\n").encode(),), daemon=True)
    writer.start()
    policy, digest = load_policy(path)
    assert policy.policies[0].rules[0].keep_all
    assert digest == Digest.of(EXAMPLE.replace("\n", "\r\n").encode())


def test_the_example_shows_every_rule() -> None:
    rules = set(TagRuleFields.model_fields) - {"pulled_within"}  # which nobody can keep
    assert {rule for rule in rules if f"{rule}:" not in EXAMPLE} == set(), "show it in flows/files/policy_example.py"


def example_without_comments() -> Policy:
    """The example with all that it says in comments."""
    return parsed(
        "\n".join(
            line.replace("# ", "", 1) if line.startswith(("  #", "# target", "# migrated")) else line
            for line in EXAMPLE.splitlines()
        )
    )


def test_the_versions_of_the_example_are_releases_and_what_no_group_of_it_matches_stays() -> None:
    """Its comments say so: by `semver:>=0.0.0` a prerelease takes no place, and does not go either."""
    names = ["1.0.0", "1.0.1", "1.0.2", "v1.0.3", "1.0.1-alpine", "1.1.0-rc.1"]
    tags = [DatedTag(name, Digest.of(name.encode()), None) for name in names]
    verdicts = decide_tags(tags, example_without_comments().policies[0], 0.0)
    assert [name for name, verdict in verdicts.items() if not verdict.keep] == ["1.0.0"]
    assert verdicts["1.1.0-rc.1"].reason == "no rule of policy builds matches it"


def test_every_commented_line_of_the_example_is_right_too() -> None:
    policy = example_without_comments()
    builds = policy.policies[0]
    assert builds.name == "builds"
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
        "      - {match: [v*, w*], exclude: v0, keep_newest_semver: 2, per: minor, keep_within: 1w}\n"
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
    assert [rule.tags.matches(".", tag) for tag in ("v0", "v1", "w0", "x")] == [False, True, True, False]
    assert rule.shown == "v* w*"
    assert (chosen.shown_excludes, policy.shown_protected) == (("team/x",), ("prod-*",))
    assert policy.of("team/y") is chosen
    assert policy.of("team/x") is policy.of("team/y/z") is None
    assert chosen.protected_tags is not None
    assert chosen.protected_tags.matches(".", "prod-1")
    assert policy.protected_digests == {Digest("sha256:" + "a" * 64)}
    assert policy.timing == Timing(DAY, 10 * DAY, QuarantineMode.VERSIONS)
    assert (policy.ingest_after, policy.multipart_after) == (7200, 1800)
    assert policy.limits == PlanLimits(5, None, 2, 1024**3)
    assert policy.gate == "host:5000/mirror"


def test_a_policy_takes_from_the_defaults_what_it_does_not_say() -> None:
    policy = parsed(
        START + "    referrers: with_subject\n"
        "  - name: b\n    repositories: [team/*, lib]\n"
        "defaults: {order_by: semver, referrers: keep, orphans_after: 3d, empty_layouts: delete}\n"
    )
    said, silent = policy.policies
    assert (said.referrers, silent.referrers) == (Referrers.WITH_SUBJECT, Referrers.KEEP)
    assert (silent.order_by, silent.orphans_after, silent.drop_empty_layouts) == (OrderBy.SEMVER, 3 * DAY, True)
    assert [silent.repositories.matches(path, None) for path in ("team/x", "lib", "x")] == [True, True, False]


@pytest.mark.parametrize(("keep", "keeps_all"), [("all", True), ("none", False)])
def test_a_rule_keeps_all_or_nothing_where_it_says_so(keep: str, keeps_all: bool) -> None:
    [rule] = parsed(START + f"    tags: [{{match: '*', keep: {keep}}}]\n").policies[0].rules
    assert (rule.keep_all, rule.keeps_any) == (keeps_all, keeps_all)


def test_who_protects_no_tag_protects_none_and_not_all() -> None:
    [chosen] = parsed(START + "protect: {tags: []}\n").policies
    assert chosen.protected_tags is None


def test_the_gate_can_be_opened_but_not_named_without_a_target() -> None:
    assert parsed(START + "migrated_only: false\n").gate is None
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
        (
            START + "    tags: [{match: '*', exclude: v1, per: all}]\n",
            "p.yaml:5: policies.0.tags.0: it keeps nothing",
        ),
        (START + "    tags: [{match: [], keep: none}]\n", "p.yaml:5: policies.0.tags.0.match: it holds too few"),
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
            START + "    tags: [{match: '*', keep: none, keep_last: 1}]\n",
            "p.yaml:5: policies.0.tags.0: 'keep: none' goes",
        ),
        (
            START + "    tags:\n      - {match: '*', keep_last: 1, per: major}\n",
            "p.yaml:6: policies.0.tags.0: 'per' goes",
        ),
        (START + "limits:\n  max_bytes: lots\n", "p.yaml:6: limits.max_bytes: a size is"),
        (START + "limits:\n  max_percent: 200\n", "p.yaml:6: limits.max_percent:"),
        (START + "limits:\n  min_tags_left: true\n", "p.yaml:6: limits.min_tags_left: it must be a whole number"),
        (START + "protect:\n  digests:\n    - sha256:abc\n", "p.yaml:7: protect.digests.0: not a sha256"),
        (START.replace("'**'", "2024"), "p.yaml:4: policies.0.repositories.0: it must be a text; put it between"),
        (
            START + "    tags:\n      - {match: 1.10, keep: all}\n",
            "p.yaml:6: policies.0.tags.0.match.0: it must be a text; put it between",
        ),
        (START + "target: https://host\n", "p.yaml:5: target: "),
        (START.replace("'**'", "'a:b'"), "p.yaml:4: policies.0.repositories.0: 'a:b' holds a tag"),
        (START + "  - name: a\n    repositories: b\n", "p.yaml:2: policies: two policies are called 'a'"),
        (
            START + "    tags:\n      - match: '*'\n        keep_last:\n",
            "p.yaml:7: policies.0.tags.0.keep_last: it is empty",
        ),
        (
            START + "    tags:\n      - {match: '*', keep_last: 10, keep_within: null}\n",
            "p.yaml:6: policies.0.tags.0.keep_within: it is empty",
        ),
        (START + "target:\n", "p.yaml:5: target: it is empty"),
        (START + "target: host\nmigrated_only:\n", "p.yaml:6: migrated_only: it is empty"),
    ],
)
def test_a_mistake_is_named_with_line_and_field(text: str, expected: str) -> None:
    assert any(line.startswith(expected) for line in mistakes(text)), mistakes(text)


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        ("quarantine: {hold: 1h}\n", "p.yaml:5: quarantine: hold (1h) is shorter than blobs.grace (7d)"),
        ("blobs: {grace: 15d}\n", "p.yaml:1: quarantine: hold (14d) is shorter than blobs.grace (15d)"),
        (
            "quarantine: {mode: versions, hold: 0s}\nblobs: {grace: 1s}\n",
            "p.yaml:5: quarantine: hold (0s) is shorter than blobs.grace (1s)",
        ),
    ],
)
def test_a_quarantine_that_a_push_may_outlast_is_refused(waits: str, expected: str) -> None:
    """Who takes less than the grace time must not lose what was hidden right after it looked."""
    (said,) = mistakes(START + waits)
    assert said.startswith(expected)


@pytest.mark.parametrize(
    ("waits", "timing"),
    [
        ("blobs: {grace: 0s}\nquarantine: {hold: 0s}\n", Timing(0.0, 0.0)),
        ("blobs: {grace: 14d}\n", Timing(14 * DAY, 14 * DAY)),
        ("quarantine: {mode: none, hold: 0s}\n", Timing(7 * DAY, 0.0, QuarantineMode.NONE)),
    ],
)
def test_waits_that_are_equal_or_have_no_quarantine_are_taken(waits: str, timing: Timing) -> None:
    assert parsed(START + waits).timing == timing


def test_a_grace_time_that_is_none_is_said_alone() -> None:
    (said,) = mistakes(START + "blobs: {grace: long}\nquarantine: {hold: 1h}\n")
    assert said.startswith("p.yaml:5: blobs.grace: a duration is")


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
    long = f"sha512:{'d' * 128}"
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 " + long.encode())
    files = "digest_files: [deployed.json, more.txt, latin.txt]"
    policy = loaded(START + f"protect: {{digests: ['sha256:{'e' * 64}'], {files}}}\n", tmp_path)
    assert policy.protected_digests == {*digests, long, "sha256:" + "e" * 64}


@pytest.mark.parametrize(
    ("name", "why"),
    [("gone", "/gone can't be read: No such file or directory"), (".", " can't be read: Is a directory")],
)
def test_one_list_that_can_not_be_read_is_enough_to_refuse_a_policy(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        loaded(START + f"protect:\n  digest_files: ['{name}']\n", tmp_path)
    assert str(raised.value) == f"{tmp_path}/p.yaml:6: protect.digest_files.0: {tmp_path}{why}"


def test_a_list_of_digests_that_has_no_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_lists, "MAX_LIST_SIZE", 1_000)
    with pytest.raises(ConfigurationError, match=r"/dev/zero is larger than 1,000 bytes"):
        loaded(START + "protect:\n  digest_files: [/dev/zero]\n", tmp_path)


@pytest.mark.parametrize("content", [None, "nothing here", f"sha256:{'a' * 65}"])
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
        ({"target": None}, False),
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
