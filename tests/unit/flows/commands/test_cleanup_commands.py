"""What the commands that clean up say of what they did, and of what they could not do."""

import errno
import hashlib
import io
import json
import os
import re
import tempfile
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flows.cli import main
from flows.files.policy_example import EXAMPLE
from tasks.oci.codes import Problem
from tasks.operations.reports.advice import advice_on
from tasks.stores.directory.directory_files import DirectoryFiles
from tasks.stores.state.cleanup_notes import RunNote, read_note
from tasks.stores.state.state_directory import default_state_root
from tests.support.buckets import moto_bucket
from tests.support.layouts import LayoutBuilder
from tests.support.policies import newest_by_name

ALONE = "--i-am-the-only-writer"
CLEANUP_PAGE = Path(__file__).parents[4] / "docs" / "cleanup.md"


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    layout = LayoutBuilder(tmp_path / "source" / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    return tmp_path / "source"


def layoutlift(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def applied_policy_that_keeps_all(source: Path, tmp_path: Path) -> Result:
    (tmp_path / "policy.yaml").write_text(
        "version: 1\npolicies: [{name: all, repositories: '**', tags: [{match: '*', keep: all}]}]\n"
    )
    plan = tmp_path / "plan.jsonl"
    layoutlift("cleanup", "plan", source, "--policy", tmp_path / "policy.yaml", "-o", plan)
    return layoutlift("cleanup", "apply", plan, ALONE)


def test_a_second_undo_says_that_nothing_is_left_to_put_back(source: Path) -> None:
    run = layoutlift("delete", source, "app:v1", "--apply", ALONE).stdout.split()[-1]
    assert "app: 1 entry put in\n" in layoutlift("cleanup", "undo", run, ALONE).output
    again = layoutlift("cleanup", "undo", run, ALONE)
    assert (again.exit_code, again.output) == (0, f"nothing is left to put back of what {run} took\n")


def test_an_undo_is_undone_from_any_folder_though_its_source_was_named_from_one(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    run = layoutlift("delete", "source", "app:v1", "--apply", ALONE).stdout.split()[-1]
    undone = layoutlift("cleanup", "undo", run, "--source", "source", ALONE)
    assert undone.exit_code == 0, undone.output
    monkeypatch.chdir("/")
    again = layoutlift("cleanup", "undo", undone.stdout.split()[-1], ALONE)
    assert again.exit_code == 0, again.output
    assert "app: 1 entry taken out" in again.stdout


def test_an_undo_is_undone_at_the_endpoint_that_was_named_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with moto_bucket("bucket", monkeypatch) as client:
        record = {"time": 1.0, "removed": [], "added": [], "files": [], "trash": None, "contents": [], "etag": ""}
        key = "tree/.layoutlift/runs/old/app/000001-settled.json"
        client.put_object(Bucket="bucket", Key=key, Body=json.dumps(record).encode())
        endpoint = "https://s3.us-east-1.amazonaws.com"
        undone = layoutlift(
            "cleanup",
            "undo",
            "old",
            "--source",
            "s3://bucket/tree",
            "--endpoint-url",
            endpoint,
            "--request-payer",
            ALONE,
        )
    assert undone.exit_code < 2, undone.output
    (noted,) = (default_state_root(os.environ) / "cleanups").iterdir()
    assert read_note(noted.stem) == RunNote(noted.stem, "s3://bucket/tree", endpoint, request_payer=True)


@pytest.mark.parametrize("left", [0, 40])
def test_what_an_index_named_that_is_empty_or_cut_off_is_found_as_the_advice_says(source: Path, left: int) -> None:
    index = source / "app" / "index.json"
    index.write_bytes(index.read_bytes()[:left])
    ended = layoutlift("recover", source)
    assert ended.exit_code == 1
    assert f"    invalid_layout: {advice_on('invalid_layout')}\n" in ended.stderr
    assert "docs/cleanup.md" in advice_on("invalid_layout")
    (named,) = set(re.findall(r"`(\{.*?\})` in its place", CLEANUP_PAGE.read_text()))
    index.write_text(named)
    ended = layoutlift("recover", source, "--apply", ALONE)
    assert ended.exit_code == 0, ended.output
    assert "app: 1 entry put in\n" in ended.stdout


def test_a_plan_to_delete_one_of_many_tags_shows_those_of_its_content_and_that_nothing_was_done(
    tmp_path: Path,
) -> None:
    layout = LayoutBuilder(tmp_path / "source" / "app")
    for tag in ("v1", "v2", "v3"):
        image = layout.image(tag, layers=[tag.encode()])
    layout.entry(image, "latest")
    layout.write()
    shown = layoutlift("delete", tmp_path / "source", "app:v3")
    lines = shown.stdout.splitlines()
    assert [line for line in lines if line.startswith(("keep", "delete"))] == [
        "delete app:v3\tit was named",
        "keep   app:latest\tit was not named",
    ]
    assert "tags kept             3" in shown.stdout
    assert shown.stderr == "nothing was changed: --apply does what this plan says\n"
    assert "nothing was changed" not in layoutlift("delete", tmp_path / "source", "app:v3", "--apply", ALONE).output


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (["-o", "the plan.jsonl"], "layoutlift cleanup apply 'the plan.jsonl' does what this plan says"),
        ([], "with --output FILE, layoutlift cleanup apply FILE does what this plan says"),
    ],
)
def test_a_plan_of_a_policy_says_that_nothing_was_done_and_what_does_it(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    LayoutBuilder(source / "app").blob(b"nobody names it")
    shown = planned(source, "**", *output)
    assert shown.stderr == f"nothing was changed: {said}\n"
    assert "nothing was changed" not in planned(source, "**", *output, "--json").output


@pytest.mark.parametrize("command", [("delete", "app:v1"), ("recover",)], ids=lambda command: command[0])
def test_what_is_to_be_applied_says_where_its_plan_can_go_where_no_temporary_file_can_be_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """As on a full disk, or in a container that may write to its volumes only."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    line = (command[0], source, *command[1:], "--apply", ALONE)
    refused = layoutlift(*line)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("layoutlift: the plan can't be written: ")
    assert layoutlift(*line, "--output", tmp_path / "plan.jsonl").exit_code == 0


def test_a_plan_of_a_policy_with_nothing_to_do_names_no_next_step(source: Path) -> None:
    assert planned(source, "**").stderr == ""


def test_a_signature_that_cosign_saved_stays_and_goes_with_its_image(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "source" / "app")
    layout.image("v1", layers=[b"signed"])
    signature = layout.image(layers=[b"signature"], listed=False)
    layout.entry({**signature, "annotations": {"kind": "dev.cosignproject.cosign/sigs"}})
    layout.write()
    (tmp_path / "policy.yaml").write_text(
        "version: 1\npolicies: [{name: all, repositories: '**', untagged: {delete_after: 0s},"
        " tags: [{match: '*', keep: all}]}]\n"
    )
    kept = layoutlift("cleanup", "plan", tmp_path / "source", "--policy", tmp_path / "policy.yaml").stdout
    assert "untagged" not in kept
    assert "nothing comes back" in kept
    assert "1 untagged entry goes" in layoutlift("delete", tmp_path / "source", "app:v1").stdout


def test_a_plan_that_only_leaves_repositories_alone_asks_for_no_apply(source: Path) -> None:
    (source / "app" / "index.json").write_bytes(b"")
    ended = layoutlift("recover", source)
    assert "! app: left alone" in ended.output
    assert "--apply" not in ended.output


def test_a_run_that_took_nothing_that_could_come_back_names_no_way_to_put_it_back(
    source: Path, tmp_path: Path
) -> None:
    """Neither a mark nor what is gone for good is put back by `undo`."""
    LayoutBuilder(source / "app").blob(b"nobody names it")
    marked = applied_policy_that_keeps_all(source, tmp_path)
    said, run = marked.stdout.splitlines()
    assert said == "app: 1 blob marked as unreferenced"
    assert run.startswith("run 20")
    assert "undo" not in marked.output


def test_a_source_with_nothing_to_recover_is_told_in_words(source: Path) -> None:
    ended = layoutlift("recover", source)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.startswith("nothing to recover")
    assert "0" not in ended.stdout
    assert '"tags_added": 0' in layoutlift("recover", source, "--json").stdout


def lost_and_marked(source: Path, tmp_path: Path) -> str:
    """An image of two blobs that no index names, as the plan told that marked it."""
    layout = LayoutBuilder(source / "app")
    layout.image("v1", layers=[b"layer"])
    layout.image(layers=[b"lost"], listed=False)
    layout.write()
    assert applied_policy_that_keeps_all(source, tmp_path).exit_code == 0
    return (tmp_path / "plan.jsonl").read_text()


def test_a_lost_manifest_is_found_by_what_the_plan_names_also_when_that_was_applied(
    source: Path, tmp_path: Path
) -> None:
    assert "(layoutlift recover --marked shows it" in lost_and_marked(source, tmp_path)
    assert "layoutlift recover --marked" in advice_on(Problem.LOST_MANIFEST)
    assert "tags added" in layoutlift("recover", source, "--marked").stdout


def test_what_marks_left_out_is_counted_where_nothing_is_found(source: Path, tmp_path: Path) -> None:
    lost_and_marked(source, tmp_path)
    ended = layoutlift("recover", source)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.startswith("nothing to recover was found; 2 blobs left out")
    assert "--marked" in ended.stdout
    assert '"code": "marked_left_out"' in layoutlift("recover", source, "--json").stdout
    assert "left out" not in layoutlift("recover", source, "--marked").output


def test_what_marks_left_out_is_named_where_something_is_found(source: Path, tmp_path: Path) -> None:
    lost_and_marked(source, tmp_path)
    LayoutBuilder(source / "app").image(layers=[b"lost later"], listed=False)
    ended = layoutlift("recover", source)
    assert ended.exit_code == 0
    assert "tags added" in ended.stdout
    assert "! .: 2 blobs left out" in ended.stderr


def test_a_file_that_is_no_plan_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "report.json"
    wrong.write_text("{}\n")
    applied = layoutlift("cleanup", "apply", wrong, ALONE)
    assert applied.exit_code == 2
    assert applied.stderr.startswith(f"layoutlift: {wrong}: it is no plan of a cleanup")


def planned(source: Path, repositories: str, *options: str) -> Result:
    policy = source.parent / "policy.yaml"
    policy.write_text(
        f"version: 1\npolicies: [{{name: all, repositories: '{repositories}', tags: [{{match: '*', keep: all}}]}}]\n"
    )
    return layoutlift("cleanup", "plan", source, "--policy", policy, *options)


def test_nobody_is_advised_to_restore_an_index_that_is_whole_as_a_file_beside_it_is_unknown(source: Path) -> None:
    (source / "app" / "blobs" / "sha256" / ".DS_Store").write_bytes(b"a desktop's")
    ended = planned(source, "**")
    assert ended.exit_code == 1
    assert "! app: left alone: 'sha256/.DS_Store' below blobs/ is no blob" in ended.output
    (advice,) = [line for line in ended.stderr.splitlines() if line.startswith("    ")]
    assert advice.startswith("    not_judged: Mend what the message names, and nothing else: an older index.json")


def test_what_a_killed_crane_left_among_the_blobs_is_deleted_when_it_is_old_enough(
    source: Path, tmp_path: Path
) -> None:
    left = source / "app" / "blobs" / "sha256" / ("a" * 64 + "1234567890")
    left.write_bytes(b"half of a layer")
    applied = applied_policy_that_keeps_all(source, tmp_path)
    assert (applied.exit_code, left.exists()) == (0, True)
    long_ago = time.time() - 8 * 86_400
    os.utime(left, (long_ago, long_ago))
    applied = applied_policy_that_keeps_all(source, tmp_path)
    assert (applied.exit_code, left.exists()) == (0, False)


def test_an_index_that_is_a_link_need_not_be_restored(source: Path) -> None:
    index = source / "app" / "index.json"
    index.rename(source / "app" / "real.json")
    index.symlink_to("real.json")
    ended = planned(source, "**")
    assert "index.json is a link to" in ended.output
    assert "    not_judged: " in ended.stderr


def test_a_directory_without_layouts_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for ended in (planned(tmp_path / "empty", "**"), layoutlift("recover", tmp_path / "empty")):
        assert ended.exit_code == 1
        assert "is the bucket mounted? (no_layouts)" in ended.stderr


def test_a_policy_about_nothing_that_is_there_is_no_success(source: Path) -> None:
    ended = planned(source, "other/**")
    assert ended.exit_code == 1
    assert ended.stderr == "! .: no policy is about any repository of the source (nothing_chosen)\n"
    assert planned(source, "**").exit_code == 0


def test_a_plan_names_what_of_the_policys_file_protects_nothing(source: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        "version: 1\n"
        "policies: [{name: all, repositories: '**', tags: [{match: '*', exclude: relase-*, keep_last: 9}]}]\n"
        "protect: {tags: [latest, v1, pord-*]}\n"
    )
    ended = layoutlift("cleanup", "plan", source, "--policy", tmp_path / "policy.yaml")
    assert ended.exit_code == 0
    assert ended.stderr.splitlines() == [
        "! .: policy 'all': no tag of its repositories fits the exclude 'relase-*' (policy_unused)",
        "! .: protect.tags: no tag that a policy is about fits 'pord-*' (policy_unused)",
    ]


def test_a_plan_that_is_applied_again_is_said_to_change_nothing(source: Path, tmp_path: Path) -> None:
    applied = applied_policy_that_keeps_all(source, tmp_path)
    assert (applied.exit_code, applied.output) == (0, "nothing was changed: all is as the plan wants it already\n")


def test_a_plan_that_leaves_everything_alone_is_not_said_to_be_done(source: Path, tmp_path: Path) -> None:
    (source / "app/index.json").write_text("{")
    applied = applied_policy_that_keeps_all(source, tmp_path)
    assert (applied.exit_code, applied.output) == (0, "nothing was changed: 1 repository is left alone\n")


def test_what_is_only_a_part_of_something_is_told_from_what_is_not_there(source: Path) -> None:
    layer, nobodys = (f"sha256:{hashlib.sha256(raw).hexdigest()}" for raw in (b"layer", b"nobody's"))
    ended = layoutlift("delete", source, f"app@{layer}")
    assert ended.exit_code == 3
    assert f"app@{layer} is no entry of the index, and stays: needed by v1" in ended.stderr
    ended = layoutlift("delete", source, f"app@{nobodys}")
    assert ended.exit_code == 2
    assert f"has nothing named {nobodys}" in ended.stderr


NGINX = "docker.io/library/nginx:1.25"
"""A reference as containerd and skopeo keep it whole."""


@pytest.mark.parametrize(
    ("layouts", "named", "goes"),
    [
        ({"app": NGINX}, f"app:{NGINX}", f"app:{NGINX}"),
        ({"app": NGINX}, "app:1.25", f"app:{NGINX}"),
        ({"a:b": "v1"}, "a:b:v1", "a:b:v1"),
        ({"a:b": "v1", "a": "v1"}, "a:b:v1", "a:b:v1"),
        ({"a:b": "v2", "a": "b:v1"}, "a:b:v1", "a:b:v1"),
        ({"team/a": "v1"}, "team/a:v1", "team/a:v1"),
        ({"a": "v1+bad"}, "a:v1+bad", "a:v1+bad"),
        ({"a:b": "v1+bad"}, "a:b:v1+bad", "a:b:v1+bad"),
    ],
)
def test_a_folder_and_a_tag_may_have_colons_in_what_is_to_be_deleted(
    tmp_path: Path, layouts: dict[str, str], named: str, goes: str
) -> None:
    """Plans show it so, and it is what the source has."""
    for folder, tag in layouts.items():
        layout = LayoutBuilder(tmp_path / "source" / folder)
        layout.image(tag)
        layout.write()
    ended = layoutlift("delete", tmp_path / "source", named)
    assert ended.exit_code == 0
    assert f"delete {goes}\tit was named" in ended.stdout


def test_what_may_be_two_things_by_its_colons_is_refused_or_said_to_be_neither(tmp_path: Path) -> None:
    for folder, tag in (("a", "b:v1"), ("a:b", "v1")):
        layout = LayoutBuilder(tmp_path / "source" / folder)
        image = layout.image(tag, layers=[tag.encode()])
        layout.write()
    ended = layoutlift("delete", tmp_path / "source", "a:b:v1", "--apply", ALONE)
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert "a:b:v1 may be 'v1' of 'a:b' or 'b:v1' of 'a': name it as REPOSITORY@DIGEST" in ended.stderr
    assert layoutlift("delete", tmp_path / "source", f"a:b@{image['digest']}").exit_code == 0
    ended = layoutlift("delete", tmp_path / "source", "a:b:v2")
    assert (ended.exit_code, "'a:b' has nothing named v2" in ended.stderr) == (2, True)
    ended = layoutlift("delete", tmp_path / "source", "c:b:v2")
    assert (ended.exit_code, "the source has no repository 'c:b' or 'c'" in ended.stderr) == (2, True)


def test_a_platform_of_an_index_is_said_to_stay_with_that_though_the_layout_lists_it(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "source" / "app")
    platform = layout.image(layers=[b"layer"])
    layout.index([platform], "v1")
    layout.write()
    ended = layoutlift("delete", tmp_path / "source", f"app@{platform['digest']}")
    assert ended.exit_code == 3
    assert f"app@{platform['digest']} is part of an index, and stays as long as that does" in ended.stderr


def test_a_plan_by_a_clock_that_is_ahead_of_the_sources_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy.yaml").write_text(
        "version: 1\npolicies: [{name: all, repositories: '**', tags: [{match: '*', keep_within: 1h}]}]\n"
        "limits: {max_percent: null, min_tags_left: 0}\n"
    )
    plan = tmp_path / "plan.jsonl"
    monkeypatch.setattr(DirectoryFiles, "now", lambda _: time.time() + 7200)
    planned = layoutlift("cleanup", "plan", source, "--policy", tmp_path / "policy.yaml", "-o", plan)
    assert "delete app:v1" in planned.output
    before = (source / "app/index.json").read_bytes()
    applied = layoutlift("cleanup", "apply", plan, ALONE)
    assert applied.exit_code == 3
    assert "in the future of the source" in applied.stderr
    assert (source / "app/index.json").read_bytes() == before


def test_a_layout_whose_index_is_a_link_is_left_alone_by_the_plan_already(source: Path, tmp_path: Path) -> None:
    index = source / "app" / "index.json"
    index.rename(source / "app" / "written.json")
    index.symlink_to("written.json")
    (policy := tmp_path / "policy.yaml").write_text(newest_by_name(1, 100))
    ended = layoutlift("cleanup", "plan", source, "--policy", policy)
    words = "left alone: index.json is a link to app/written.json; nothing is cleaned up through links"
    assert (ended.exit_code, words in ended.output) == (1, True), ended.output


@pytest.mark.parametrize(("given", "code"), [("1", 3), ("1K", 3), ("1000K", 0), ("1G", 0), ("1048576", 0)])
def test_a_limit_of_bytes_is_said_as_in_a_policy(source: Path, tmp_path: Path, given: str, code: int) -> None:
    layout = LayoutBuilder(source / "app")
    layout.image("v1", layers=[b"x" * 100_000])
    layout.write()
    layoutlift("delete", source, "app:v1", "--output", tmp_path / "plan")
    ended = layoutlift("cleanup", "apply", tmp_path / "plan", ALONE, "--max-bytes", given)
    assert ended.exit_code == code, ended.output


def test_what_is_no_limit_of_bytes_is_said_as_of_a_policy(source: Path, tmp_path: Path) -> None:
    layoutlift("delete", source, "app:v1", "--output", tmp_path / "plan")
    ended = layoutlift("cleanup", "apply", tmp_path / "plan", ALONE, "--max-bytes", "lots")
    assert ended.exit_code == 2
    assert ended.stderr == (
        "layoutlift: --max-bytes: a size is a number of bytes, with k, M, G or T behind it: 50G\n"
    )


@pytest.mark.parametrize(
    "command", [("cleanup", "plan", "--policy", "cleanup.yaml"), ("delete", "app:v1"), ("recover",)]
)
def test_a_plan_is_not_written_to_a_file_that_is_called_as_standard_output_is_by_others(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    layoutlift("cleanup", "init")
    words = 2 if command[0] == "cleanup" else 1
    ended = layoutlift(*command[:words], source, *command[words:], "--output", "-")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == "layoutlift: --output: it would be a file of that name; --json prints the plan\n"
    assert not (tmp_path / "-").exists()


def test_a_plan_that_would_be_a_folder_is_refused_before_the_work(source: Path, tmp_path: Path) -> None:
    (policy := tmp_path / "policy.yaml").write_text(EXAMPLE)
    ended = layoutlift("cleanup", "plan", source, "--policy", policy, "-o", tmp_path)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == f"layoutlift: the plan can't be written to {tmp_path}: it is a folder\n"


@pytest.mark.parametrize("command", [("cleanup", "plan"), ("delete",), ("recover",)], ids=" ".join)
def test_a_plan_is_never_written_into_the_source(source: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    (policy := tmp_path / "policy.yaml").write_text(EXAMPLE)
    more = {"delete": ["app:v1"], "recover": []}.get(command[0], ["--policy", policy])
    place = source / "app" / "index.json"
    before = place.read_bytes()
    ended = layoutlift(*command, source, *more, "--output", place)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"layoutlift: --output {place}: it is in the source")
    assert place.read_bytes() == before


def test_a_policy_that_could_not_be_written_leaves_nothing_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def opened(path: Path, *_: object, **__: object) -> FullDisk:
        path.touch(exist_ok=False)
        return FullDisk()

    monkeypatch.setattr(Path, "open", opened)
    ended = layoutlift("cleanup", "init", tmp_path / "cleanup.yaml")
    assert (ended.exit_code, "No space left" in ended.stderr) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_name_from_the_source_in_what_ends_a_command_does_not_steer_the_terminal(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "source" / "\x1b]0;owned\x07\nlayoutlift: all is well")
    for tag in ("v1", "v2"):
        layout.image(tag, layers=[tag.encode()])
    layout.write()
    (tmp_path / "policy.yaml").write_text(
        "version: 1\npolicies: [{name: all, repositories: '**', tags: [{match: '*', keep: none}]}]\n"
    )
    plan = tmp_path / "plan.jsonl"
    layoutlift("cleanup", "plan", tmp_path / "source", "--policy", tmp_path / "policy.yaml", "-o", plan)
    ended = layoutlift("cleanup", "apply", plan, ALONE)
    assert ended.exit_code == 3
    assert "\x1b" not in ended.output
    assert "\x07" not in ended.output
    (line,) = ended.stderr.splitlines()
    assert r"\x1b]0;owned\x07\nlayoutlift: all is well: 100 % of its tags go" in line


def test_a_policy_of_which_a_part_fits_nothing_is_planned_with_a_remark(source: Path) -> None:
    policy = source.parent / "policy.yaml"
    policy.write_text(
        "version: 1\npolicies: [{name: all, repositories: '**', tags: [{match: 'w*', keep_last: 1}]}]\n"
    )
    ended = layoutlift("cleanup", "plan", source, "--policy", policy)
    assert ended.exit_code == 0
    assert ended.stderr == "! .: policy 'all': no tag of its repositories fits 'w*' (policy_unused)\n"
    document = json.loads(layoutlift("cleanup", "plan", source, "--policy", policy, "--json").stdout)
    assert [finding["code"] for finding in document["findings"]] == ["policy_unused"]


def test_nothing_is_written_into_an_empty_folder_where_the_source_was_mounted(source: Path, tmp_path: Path) -> None:
    """Most mounts can't be put over a folder with something in it."""
    assert applied_policy_that_keeps_all(source, tmp_path).exit_code == 0
    source.rename(tmp_path / "away")
    source.mkdir()
    for arguments in (("apply", tmp_path / "plan.jsonl"), ("undo", "20260615T120000Z-1a2b3c", "--source", source)):
        ended = layoutlift("cleanup", *arguments, ALONE)
        assert ended.exit_code == 2
        assert "is empty, nothing was changed; is the bucket mounted there?" in ended.stderr
    assert list(source.iterdir()) == []


def test_a_plan_that_comes_or_goes_through_a_pipe_is_no_damaged_one(source: Path, tmp_path: Path) -> None:
    """What is applied is read several times, and a pipe has it once, or waits for more."""
    plan, (reader, writer) = tmp_path / "plan.jsonl", os.pipe()
    assert layoutlift("delete", source, "app:v1", "--output", plan).exit_code == 0
    os.write(writer, plan.read_bytes())
    applied = layoutlift("cleanup", "apply", f"/dev/fd/{reader}", ALONE)
    deleted = layoutlift("delete", source, "app:v1", "--output", f"/dev/fd/{writer}", "--apply", ALONE)
    os.close(reader)
    os.close(writer)
    for ended, end in ((applied, reader), (deleted, writer)):
        said = f"layoutlift: the plan /dev/fd/{end} is a pipe, and what is applied is read several times: use a file"
        assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (2, said)
    assert layoutlift("cleanup", "apply", plan, ALONE).exit_code == 0, "nothing was changed"
