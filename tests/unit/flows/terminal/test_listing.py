"""What `layoutlift ls` says of what it lists, and of what it can't."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flows.cli import main
from flows.terminal import changes
from flows.terminal.finding_lines import SHOWN
from tasks.endpoints import source_identity
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import SourceUnavailableError
from tasks.oci.reference import IMAGE_NAME, referrers_tag
from tasks.operations.reports.results import RepositoryInventory
from tasks.ports import Finding
from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.state.state_directory import StateDirectory
from tasks.stores.verified_content import VerifiedContent
from tests.support.layouts import OCI_MANIFEST, LayoutBuilder, dated_image

TARGET = "registry.example"


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in ("app", "web"):
        layout = LayoutBuilder(tmp_path / "source" / name)
        layout.image("v1", layers=[name.encode()])
        layout.write()
    return tmp_path / "source"


def listed(source: Path, *options: str | Path) -> Result:
    return CliRunner().invoke(main, ["ls", str(source), *map(str, options)])


@pytest.mark.parametrize(("pattern", "code"), [(":*", 1), ("**:v*", 1), ("app:*", 0), ("**:w*", 0), ("web", 0)])
def test_patterns_that_leave_out_everything_end_with_1(source: Path, pattern: str, code: int) -> None:
    ended = listed(source, "--exclude", pattern)
    assert ended.exit_code == code
    assert ("nothing_chosen" in ended.stderr) == bool(code)


@pytest.mark.parametrize("changed", [(), ("--changed", "localhost:1")], ids=["all", "changed"])
def test_a_pattern_that_is_no_repository_is_told_how_folders_and_tags_are_written(
    source: Path, changed: tuple[str, ...]
) -> None:
    ended = listed(source, "--include", "v1", *changed)
    advice = ended.stderr.partition("    nothing_chosen: ")[2]
    assert ended.exit_code == 1
    assert "team/** are all below it, and :v1 is a tag" in advice


def test_of_what_is_found_everywhere_some_is_shown(source: Path) -> None:
    """As of the blobs in a registry's own storage, of which there may be millions."""
    for number in range(SHOWN + 5):
        (source / f"blob{number:02}").mkdir()
        (source / f"blob{number:02}" / "data").touch()
    ended = listed(source)
    told = [line for line in ended.stderr.splitlines() if "not_a_layout" in line]
    assert len(told) == SHOWN + 1
    assert told[-1] == "! … and 5 more (not_a_layout), which --json lists"
    assert listed(source, "--json").stdout.count("not_a_layout") == SHOWN + 5


def test_a_pattern_that_fits_nothing_is_said_where_another_one_does(source: Path) -> None:
    patterns = ("--include", "app", "--include", "wbe", "--include", "web:v7")
    ended = listed(source, *patterns)
    assert (ended.exit_code, ended.stdout.count("\n")) == (0, 1)
    assert ended.stderr.splitlines() == [
        f"! {each}: --include has it, and it fits nothing of the source (include_unused)"
        for each in ("wbe", "web:v7")
    ]
    ended = listed(source, *patterns, "--exclude", "web")
    assert "web:v7" not in ended.stderr, "nobody looks at the tags of what is left out"
    ended = listed(source, *patterns, "--changed", TARGET)
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()[1:]] == ["! wbe"]


def test_an_exclude_that_fits_nothing_is_said(source: Path) -> None:
    said = "! wbe: --exclude has it, and it fits nothing of the source (exclude_unused)"
    for options in ((), ("--changed", TARGET)):
        ended = listed(source, "--exclude", "wbe", "--exclude", "web", *options)
        assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (0, said)
        assert ended.stderr.count("exclude_unused") == 1


@pytest.mark.parametrize("command", ["ls", "check"])
def test_what_was_not_chosen_is_no_problem_and_not_read(source: Path, command: str) -> None:
    layout = LayoutBuilder(source / "app")
    layout.image("v1", layers=[b"app"])
    layout.image("v1+bad", layers=[b"no registry takes its tag"])
    layout.write()
    (source / "web" / "index.json").write_bytes(b"broken")
    ended = CliRunner().invoke(main, [command, str(source), "--include", "app:v1"])
    assert ended.exit_code == 0, ended.output
    assert "web" not in ended.output
    assert CliRunner().invoke(main, [command, str(source), "--include", "app"]).exit_code == 1
    assert CliRunner().invoke(main, [command, str(source), "--include", "web"]).exit_code == 1


@pytest.mark.parametrize("more", [(), ("--changed", TARGET)])
def test_an_entry_that_can_not_be_migrated_is_named(source: Path, more: tuple[str, ...]) -> None:
    layout = LayoutBuilder(source / "app")
    layout.image("v1", layers=[b"app"])
    layout.image("v1+bad", layers=[b"no registry takes its tag"])
    layout.write()
    ended = listed(source, *more)
    assert (ended.exit_code, ended.stdout.count("\n")) == (1, 2)
    assert "! app: " in ended.stderr
    assert "v1+bad" in ended.stderr
    assert listed(source, "--include", "app:v1", *more).exit_code == 0


@pytest.mark.parametrize("more", [(), ("--split-by-name",), ("--changed", TARGET)])
def test_names_by_digest_are_no_problem_where_a_tag_has_the_digest(tmp_path: Path, more: tuple[str, ...]) -> None:
    """As containerd has each image of a node: by its tag, by its digest, and by that of its config."""
    layout = LayoutBuilder(tmp_path / "node")
    image = layout.image(layers=[b"image"], listed=False)
    names = {
        "1.25": "docker.io/library/nginx:1.25",
        f"@{image['digest']}": f"docker.io/library/nginx@{image['digest']}",
    }
    names[Digest.of(b"config")] = Digest.of(b"config")
    for ref_name, name in names.items():
        layout.entry({**image, "annotations": {IMAGE_NAME: name}}, ref_name)
    layout.write()
    ended = listed(tmp_path, *more)
    assert (ended.exit_code, ended.stdout.count("\n"), "digest_only" in ended.output) == (0, 1, False), ended.output
    layout.entries.pop(0)
    layout.write()
    ended = listed(tmp_path, *more)
    assert (ended.exit_code, "(digest_only)" in ended.stderr) == (1, True)


@pytest.mark.parametrize("more", [(), ("--changed", TARGET)])
def test_a_list_of_referrers_that_can_not_be_read_is_named(source: Path, more: tuple[str, ...]) -> None:
    layout = LayoutBuilder(source / "app")
    image = layout.image("v1", layers=[b"app"])
    listing = layout.index([layout.referrer(image, listed=False)], referrers_tag(Digest(image["digest"])))
    layout.write()
    layout.blob_path(listing).write_bytes(b"{")
    ended = listed(source, *more)
    assert ended.exit_code == 1, ended.output
    assert f"! app: {listing['digest']}: " in ended.stderr


@pytest.mark.parametrize("more", [(), ("--changed", TARGET)])
def test_what_comes_besides_the_newest_is_said(source: Path, more: tuple[str, ...]) -> None:
    layout = LayoutBuilder(source / "app")
    for tag in ("1.0.0", "main", "nightly"):
        layout.image(tag, layers=[tag.encode()])
    layout.write()
    ended = listed(source, "--newest", "1", "--order-by", "semver", "--include", "app", *more)
    assert (ended.exit_code, ended.stdout.count("\n")) == (0, 3), ended.output
    assert "app: 2 manifests come besides the 1 newest" in ended.stderr


def test_files_that_belong_to_no_layout_are_no_layouts(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "app.tar").write_bytes(b"an archive")
    ended = listed(tmp_path / "backups")
    assert (ended.exit_code, "no_layouts" in ended.stderr) == (1, True)


@pytest.mark.parametrize("more", [(), ("--changed", TARGET)])
def test_a_list_says_nothing_of_a_folder_that_the_patterns_leave_out(source: Path, more: tuple[str, ...]) -> None:
    (source / "aside").symlink_to("/etc", target_is_directory=True)
    assert listed(source, *more).exit_code == 1
    ended = listed(source, *more, "--exclude", "aside**")
    assert (ended.exit_code, "aside" in ended.output) == (0, False)


def test_each_line_of_a_list_finds_its_tag_again_whatever_its_repository_is_called(tmp_path: Path) -> None:
    """One that begins with # would be a comment, and be left out without a word."""
    names = ["#old/app", "# app", " app", "app", "app ", "a\tb", "a#b", "caf\udce9", "a:b", "a@b", "#"]
    for name in names:
        layout = LayoutBuilder(tmp_path / "source" / name)
        layout.image("v1", layers=[name.encode(errors="surrogateescape")])
        layout.write()
    lines = listed(tmp_path / "source").stdout
    assert len(lines.splitlines()) == len(names)
    (tmp_path / "images.txt").write_text(lines)
    again = listed(tmp_path / "source", "--tags-from", tmp_path / "images.txt")
    assert (again.exit_code, again.stdout, again.stderr) == (0, lines, "")
    changes = listed(tmp_path / "source", "--changed", TARGET).stdout
    assert changes.splitlines() == [f"+ {line}" for line in lines.splitlines()], "without signs such a list"
    (tmp_path / "images.txt").write_text("".join(f"#{line}\n" for line in lines.splitlines()[1:]) + "app:v1")
    assert listed(tmp_path / "source", "--tags-from", tmp_path / "images.txt").stdout.startswith("app:v1\t")


def test_a_list_in_json_has_the_chosen_repositories(source: Path) -> None:
    chosen = json.loads(listed(source, "--include", "app", "--json").stdout)["repositories"]
    assert [each["repository"] for each in chosen] == ["app"]


def test_a_list_in_json_is_not_taken_for_whole_where_the_source_goes_away_meanwhile(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe to jq forgets the exit code."""
    find = LayoutDirectory.list_layouts

    def list_layouts(directory: LayoutDirectory) -> Iterator[str | Finding]:
        yield next(iter(find(directory)))
        raise SourceUnavailableError("the mount went away")

    monkeypatch.setattr(LayoutDirectory, "list_layouts", list_layouts)
    ended = listed(source, "--json")
    assert (ended.exit_code, ended.stderr) == (1, "layoutlift: the mount went away\n")
    assert '"repository": "app"' in ended.stdout
    with pytest.raises(json.JSONDecodeError):
        json.loads(ended.stdout)


@pytest.mark.parametrize("command", ["ls", "check"])
def test_a_layout_whose_entries_have_no_tags_is_not_left_out_by_a_pattern_for_tags(
    tmp_path: Path, command: str
) -> None:
    layout = LayoutBuilder(tmp_path / "source" / "app")
    layout.image(layers=[b"its tag has moved on"])
    layout.write()
    ended = CliRunner().invoke(main, [command, str(tmp_path / "source"), "--exclude", ":*-dev"])
    assert ended.exit_code == 0, ended.output
    assert "nothing_chosen" not in ended.output


def test_a_list_names_a_layout_that_has_no_line_in_it_as_it_has_no_tag(source: Path) -> None:
    layout = LayoutBuilder(source / "tagless")
    layout.image(layers=[b"written without a name"])
    layout.write()
    ended = listed(source)
    assert ended.exit_code == 0
    assert ended.stderr.startswith("! tagless: no entry of its index.json has a tag (1 have none)")
    assert listed(source, "--include", "**:v1").stderr == ""


def test_a_list_names_a_layout_whose_index_names_nothing(source: Path) -> None:
    LayoutBuilder(source / "emptied").write()
    ended = listed(source)
    assert ended.exit_code == 0
    assert ended.stderr.startswith("! emptied: its index.json names nothing")
    assert "layoutlift recover" in ended.stderr
    assert listed(source, "--include", "**:v1").stderr == ""


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--untagged", "moved"), 1)])
def test_a_check_proves_the_untagged_manifests_that_are_asked_for(
    tmp_path: Path, options: tuple[str, ...], code: int
) -> None:
    layout = LayoutBuilder(tmp_path / "source" / "app")
    layout.image("v1", layers=[b"layer"])
    moved = layout.image(layers=[b"lost"])
    layout.write()
    layout.blob_path({"digest": Digest.of(b"lost")}).unlink()
    ended = CliRunner().invoke(main, ["check", str(tmp_path / "source"), *options])
    assert ended.exit_code == code, ended.output
    assert (f"app@{moved['digest']}" in ended.output) == bool(code)


def test_a_check_proves_what_refers_to_a_part_of_a_referrer(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "source" / "app")
    part = layout.image(layers=[b"SBOM of a platform"], listed=False)
    layout.index([part], subject=layout.image("v1", layers=[b"layer"]))
    signature = layout.referrer(part, content=b"signature")
    layout.write()
    layout.blob_path({"digest": Digest.of(b"signature")}).unlink()
    ended = CliRunner().invoke(main, ["check", str(tmp_path / "source")])
    assert ended.exit_code == 1, ended.output
    assert f"the referrer {signature['digest']}" in ended.output


def test_the_tags_of_a_check_add_up_whichever_are_refused_or_not_chosen(source: Path) -> None:
    layout = LayoutBuilder(source / "app")
    for tag in ("v1", "v1+bad", "not-chosen"):
        layout.image(tag, layers=[tag.encode()])
    layout.write()
    options = ("--include", "app:v*", "--json")
    totals = json.loads(CliRunner().invoke(main, ["check", str(source), *options]).stdout)["totals"]
    assert {name: totals[name] for name in ("tags", "up_to_date", "refused", "failed")} == {
        "tags": 2,
        "up_to_date": 1,
        "refused": 1,
        "failed": 0,
    }


def test_a_list_and_its_changes_have_the_newest_alone(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "source" / "app")
    for number in range(3):
        layout.image(f"{number}.0.0", layers=[str(number).encode()])
    layout.write()
    layout = LayoutBuilder(tmp_path / "source" / "unordered")
    for name in ("main", "nightly"):
        layout.image(name, layers=[name.encode()])
    layout.write()
    for more in ((), ("--changed", TARGET)):
        ended = listed(tmp_path / "source", "--newest", "1", "--order-by", "semver", *more)
        assert ended.exit_code == 1, ended.output
        assert [line.partition("app:")[2][:5] for line in ended.stdout.splitlines()] == ["2.0.0"]
        assert "unordered: the 1 newest of 2 manifests by semver can't be told" in ended.stderr
        assert listed(tmp_path / "source", "--newest", "2", "--include", "unordered", *more).exit_code == 0


AGES = {"fresh": timedelta(hours=1), "recent": timedelta(days=3), "ancient": timedelta(days=900)}


@pytest.fixture
def aged(tmp_path: Path) -> Path:
    """Images of several ages, one of a repository that has none of the newer ones, and some that nobody dated."""
    for name, tags in {"app": ("fresh", "recent", "ancient"), "done": ("ancient",)}.items():
        layout = LayoutBuilder(tmp_path / "aged" / name)
        for tag in tags:
            dated_image(layout, tag, datetime.now(UTC) - AGES[tag])
        layout.write()
    return tmp_path / "aged"


@pytest.mark.parametrize("more", [(), ("--changed", TARGET)], ids=["all", "changed"])
@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        (("--newer-than", "30d"), ["app:fresh", "app:recent"]),
        (("--older-than", "6h"), ["app:ancient", "app:recent", "done:ancient"]),
        (("--newer-than", "30d", "--older-than", "6h"), ["app:recent"]),
        (("--older-than", "6h", "--newest", "1"), ["app:recent", "done:ancient"]),
    ],
)
def test_a_list_and_its_changes_have_those_of_an_age(
    aged: Path, ages: tuple[str, ...], expected: list[str], more: tuple[str, ...]
) -> None:
    ended = listed(aged, *ages, *more)
    assert ended.exit_code == 0, ended.output
    assert sorted(line.partition("\t")[0].lstrip("+ ") for line in ended.stdout.splitlines()) == expected


@pytest.mark.parametrize("patterns", [(), ("--include", ":anc*")])
def test_a_list_in_which_nothing_has_the_age_is_no_mistyped_one(aged: Path, patterns: tuple[str, ...]) -> None:
    ended = listed(aged, "--newer-than", "5m", *patterns)
    assert (ended.exit_code, ended.stdout) == (0, ""), ended.output
    assert "(none_of_age)" in ended.stderr
    assert listed(aged, "--newer-than", "5m", "--include", ":ancent").exit_code == 1


@pytest.mark.parametrize("more", [(), ("--changed", TARGET)], ids=["all", "changed"])
def test_a_list_says_what_nothing_dates(aged: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    for name in ("mixed", "silent"):
        layout = LayoutBuilder(aged / name)
        layout.image("main", layers=[b"main"])
        if name == "mixed":
            dated_image(layout, "v1", datetime.now(UTC) - AGES["ancient"])
        layout.write()
    ended = listed(aged, "--older-than", "6h", "--include", "mixed", *more)
    assert (ended.exit_code, "mixed:main" in ended.stdout) == (1, False)
    assert "! mixed: 1 manifest stays behind" in ended.stderr
    assert "(age_unknown)" in ended.stderr
    ended = listed(aged, "--newer-than", "30d", "--include", "mixed", *more)
    assert (ended.exit_code, "mixed:main" in ended.stdout, "mixed:v1" in ended.stdout) == (0, True, False)
    assert "(not_dated)" in ended.stderr
    ended = listed(aged, "--newer-than", "30d", "--include", "silent", *more)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "! silent: " in ended.stderr
    assert "(age_unknown)" in ended.stderr


def test_changes_to_nothing_are_said_to_be_that(source: Path, tmp_path: Path) -> None:
    for options, place in (((), tmp_path / "xdg/layoutlift"), (("--state", tmp_path / "own"), tmp_path / "own")):
        ended = listed(source, "--changed", TARGET, *options)
        assert ended.stderr.startswith(f"nothing to compare with: {place} knows of no layout")
        assert [line[0] for line in ended.stdout.splitlines()] == ["+", "+"]


def test_changes_name_layouts_without_a_tag_as_a_list_does(source: Path, tmp_path: Path) -> None:
    """As one whose tags a lost write took: they did not vanish on purpose."""
    state = StateDirectory(tmp_path / "own", source_identity(str(source), BucketAccess()), TARGET)
    ledger = state.ledger("run")
    ledger.note_tag("app", "v1", Digest.of(b"before"), None, 0, layout="app")
    ledger.note_layout("app", "app", "etag", "")
    ledger.close()
    LayoutBuilder(source / "app").write()
    layout = LayoutBuilder(source / "tagless")
    layout.image(layers=[b"layer"])
    layout.write()
    told = json.loads(listed(source, "--json").stdout)["findings"]
    assert [(each["path"], each["code"]) for each in told] == [("app", "empty_index"), ("tagless", "no_tags")]
    changed = json.loads(listed(source, "--changed", TARGET, "--state", tmp_path / "own", "--json").stdout)
    assert changed["findings"] == told
    assert [(each["repository"], each["change"]) for each in changed["changes"]] == [
        ("app", "vanished"),
        ("web", "new"),
    ]


def test_changes_say_what_they_are_changes_to(source: Path, tmp_path: Path) -> None:
    identity = source_identity(str(source), BucketAccess())
    state = StateDirectory(tmp_path / "own", identity, TARGET)
    ledger = state.ledger("run")
    ledger.note_layout("app", "app", "etag", "")
    ledger.close()
    ended = listed(source, "--changed", TARGET, "--state", tmp_path / "own")
    assert ended.stderr.startswith("compared with 1 layout as last migrated to registry.example")
    assert (
        json.loads(listed(source, "--changed", TARGET, "--state", tmp_path / "own", "--json").stdout)["layouts_known"]
        == 1
    )


def test_of_a_layout_that_is_as_it_was_only_the_index_is_read(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDirectory(tmp_path / "own", source_identity(str(source), BucketAccess()), TARGET)
    ledger = state.ledger("run")
    tag = json.loads(listed(source, "--include", "app", "--json").stdout)["repositories"][0]["tags"][0]
    ledger.note_tag("app", "v1", tag["digest"], None, 0, layout="app")
    ledger.note_layout("app", "app", LayoutDirectory(source).read_index("app").etag, "")
    ledger.close()
    read: list[str] = []

    def enumerated(_: object, path: str, _map: object, **_options: bool) -> RepositoryInventory:
        read.append(path)
        return RepositoryInventory(path, "")

    monkeypatch.setattr(changes, "enumerate_repository", enumerated)
    assert listed(source, "--changed", TARGET, "--state", tmp_path / "own").exit_code == 0
    assert read == ["web"]


@pytest.mark.parametrize(("chosen", "told"), [((), ["~ app:v1", "- app:v2"]), (("--include", "app:v2"), [])])
def test_what_a_run_of_other_tags_did_not_look_at_is_told_though_the_index_is_the_one_of_then(
    source: Path, tmp_path: Path, chosen: tuple[str, ...], told: list[str]
) -> None:
    """That run has named what vanished. It names no list of referrers, of which the target keeps its own."""
    state = StateDirectory(tmp_path / "own", source_identity(str(source), BucketAccess()), TARGET)
    ledger = state.ledger("run")
    for tag in ("v1", "v2", referrers_tag(Digest.of(b"gone"))):
        ledger.note_tag("app", tag, Digest.of(b"before"), None, 0, layout="app")
    ledger.note_layout("app", "app", LayoutDirectory(source).read_index("app").etag, "")
    ledger.close()
    ended = listed(source, "--changed", TARGET, "--state", tmp_path / "own", "--exclude", "web", *chosen)
    assert [line.partition("\t")[0] for line in ended.stdout.splitlines()] == told


def test_a_signature_that_moved_is_told_whatever_tags_are_chosen_as_it_may_come_along(
    source: Path, tmp_path: Path
) -> None:
    signature = f"{referrers_tag(Digest.of(b'anything'))}.sig"
    layout = LayoutBuilder(source / "app")
    for tag in ("v1", "v2", signature):
        layout.image(tag, layers=[tag.encode()])
    layout.write()
    state = StateDirectory(tmp_path / "own", source_identity(str(source), BucketAccess()), TARGET)
    ledger = state.ledger("run")
    for tag in ("v1", "v2", signature):
        ledger.note_tag("app", tag, Digest.of(b"before"), None, 0, layout="app")
    ledger.note_layout("app", "app", "", "")
    ledger.close()
    ended = listed(source, "--changed", TARGET, "--state", tmp_path / "own", "--include", "app:v1")
    told = [line.partition("\t")[0] for line in ended.stdout.splitlines()]
    assert told == [f"~ app:{signature}", "~ app:v1"]


@pytest.mark.parametrize("more", [(), ("--changed", TARGET)])
def test_manifests_of_one_layout_are_read_several_at_a_time(
    source: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    """A layout lists each platform of each image without a tag, and one costs a way to the bucket and back."""
    layout = LayoutBuilder(source / "app")
    layout.index([layout.image(layers=[name]) for name in (b"arm", b"amd")], "v1")
    layout.write()
    both = threading.Barrier(2)
    read = LayoutDirectory.blob

    def beside_another(self: LayoutDirectory, path: str, descriptor: Descriptor) -> VerifiedContent:
        if descriptor.media_type == OCI_MANIFEST:
            both.wait(10)
        return read(self, path, descriptor)

    monkeypatch.setattr(LayoutDirectory, "blob", beside_another)
    assert "app:v1" in listed(source, *more).stdout


def test_state_in_a_file_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    ended = listed(source, "--changed", TARGET, "--state", tmp_path / "state.json")
    assert ended.exit_code == 2
    assert "it is a file" in ended.stderr
