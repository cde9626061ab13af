"""What becomes of a tag that the target has with another digest."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tasks.endpoints import open_state, source_identity
from tasks.stop import Stop
from tasks.stores.bucket.s3_address import BucketAccess
from tests.support.command import Layoutlift, wait_for_words
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import RepositoryView, everything_tagged


@pytest.fixture
def target(docker_registry: Registry, prefix: str) -> str:
    return f"{docker_registry.host}/{prefix}"


@pytest.fixture
def repository(docker_registry: Registry, prefix: str) -> RepositoryView:
    return RepositoryView(docker_registry, f"{prefix}/app")


def write(root: Path, content: bytes = b"ours") -> dict[str, str]:
    """Two tags of a repository; their digests."""
    layout = LayoutBuilder(root / "app")
    digests = {tag: layout.image(tag, layers=[content, tag.encode()])["digest"] for tag in ("v1", "v2")}
    layout.write()
    return digests


def test_a_conflict_is_refused_and_the_others_go_on(
    layoutlift: Layoutlift, target: str, repository: RepositoryView, tmp_path: Path
) -> None:
    digests = write(tmp_path)
    theirs = repository.push_image("v1")
    planned = layoutlift.plan(tmp_path, target, code=1)
    assert planned.outcomes == {"app:v1": "conflict", "app:v2": "to_copy"}
    ended = layoutlift.migrate(tmp_path, target, code=1)
    assert ended.outcomes == {"app:v1": "conflict", "app:v2": "copied"}
    assert ended.rows["app", "v1"]["outcome"] == "refused"
    assert theirs in ended.rows["app", "v1"]["error"]["message"]
    assert (repository.digest("v1"), repository.digest("v2")) == (theirs, digests["v2"])


def test_overwrite_replaces_what_was_there(
    layoutlift: Layoutlift, target: str, repository: RepositoryView, tmp_path: Path
) -> None:
    digests = write(tmp_path)
    repository.push_image("v1")
    ended = layoutlift.migrate(tmp_path, target, "--on-conflict", "overwrite")
    assert ended.outcomes == {"app:v1": "copied", "app:v2": "copied"}
    assert repository.digest("v1") == digests["v1"]


def test_skip_leaves_it_and_is_no_problem(
    layoutlift: Layoutlift, target: str, repository: RepositoryView, tmp_path: Path
) -> None:
    write(tmp_path)
    theirs = repository.push_image("v1")
    ended = layoutlift.migrate(tmp_path, target, "--on-conflict", "skip")
    assert ended.outcomes == {"app:v1": "conflict_skipped", "app:v2": "copied"}
    assert repository.digest("v1") == theirs
    assert layoutlift.verify(tmp_path, target, code=1).outcomes["app:v1"] == "different_at_target"


def test_what_stays_the_targets_is_left_out_of_all_commands_by_its_name(
    layoutlift: Layoutlift, target: str, repository: RepositoryView, tmp_path: Path
) -> None:
    write(tmp_path / "source")
    repository.push_image("v1")
    but = ("--exclude", "app:v1")
    for command in (layoutlift.migrate, layoutlift.verify):
        ended = command(tmp_path / "source", target, *but)
        assert set(ended.outcomes) == {"app:v2"}
        assert ended.findings == set()
    output = tmp_path / "map.csv"
    layoutlift("cutover", tmp_path / "source", target, "--plain-http", *but, "--output", output)
    assert "app:v2" in output.read_text()
    assert "app:v1" not in output.read_text()


def test_fail_changes_nothing_at_all(
    layoutlift: Layoutlift, target: str, docker_registry: Registry, repository: RepositoryView, tmp_path: Path
) -> None:
    write(tmp_path)
    theirs = repository.push_image("v1")
    ended = layoutlift.migrate(tmp_path, target, "--on-conflict", "fail", code=3)
    assert f"{target}/app:v1" in ended.stderr.splitlines()[-1]
    prefix = target.partition("/")[2]
    assert everything_tagged(docker_registry, prefix) == {"app:v1": theirs}
    write(tmp_path / "other")
    layoutlift.migrate(tmp_path / "other", f"{target}-other", "--on-conflict", "fail")


@pytest.mark.parametrize("code", [0, 3])
def test_fail_leaves_nothing_of_the_look(
    layoutlift: Layoutlift, target: str, repository: RepositoryView, tmp_path: Path, code: int
) -> None:
    """It has a line for each tag, as many as the run itself, which nobody reads again."""
    write(tmp_path)
    if code:
        repository.push_image("v1")
    state = layoutlift.home / "kept"
    layoutlift.migrate(tmp_path, target, "--on-conflict", "fail", "--state", state, code=code)
    runs = [[path.name for path in run.glob("report.json")] for run in state.glob("*/runs/*")]
    assert runs == ([] if code else [["report.json"]])


def test_fail_ends_at_a_problem_that_is_no_conflict_only_where_the_run_itself_meets_it(
    layoutlift: Layoutlift, target: str, tmp_path: Path
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.blob_path(layout.image("v1", layers=[b"gone"])).unlink()
    layout.write()
    ended = layoutlift.migrate(tmp_path, target, "--on-conflict", "fail", "--fail-fast", code=1)
    assert ended.outcomes == {"app:v1": "content_not_found"}


def test_fail_looks_once_the_run_that_it_waited_for_has_ended(
    layoutlift: Layoutlift, target: str, docker_registry: Registry, repository: RepositoryView, tmp_path: Path
) -> None:
    """Before, the tags of a run that is still at work may look like conflicts, and others come after the look."""
    write(tmp_path)
    access, kept = BucketAccess(), layoutlift.home / "kept"
    state = open_state(str(kept), source_identity(str(tmp_path), access), target, access, Stop())
    options = ("--on-conflict", "fail", "--lock-timeout", "4m", "--state", kept)
    with ExitStack() as another:
        another.enter_context(state.lock("another"))
        with layoutlift.running("migrate", tmp_path, target, *options) as process:
            wait_for_words(process, "this run waits for it")
            theirs = repository.push_image("v1")
            another.close()
            _, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, stderr
    assert everything_tagged(docker_registry, target.partition("/")[2]) == {"app:v1": theirs}


def test_a_tag_that_moved_at_the_source_is_overwritten_where_we_wrote_it(
    layoutlift: Layoutlift, target: str, repository: RepositoryView, tmp_path: Path
) -> None:
    write(tmp_path)
    layoutlift.migrate(tmp_path, target)
    moved = write(tmp_path, b"newer")
    ended = layoutlift.migrate(tmp_path, target)
    assert ended.outcomes == {"app:v1": "copied", "app:v2": "copied"}
    assert repository.digest("v1") == moved["v1"]

    theirs = repository.push_image("v1")
    newest = write(tmp_path, b"newest")
    ended = layoutlift.migrate(tmp_path, target, code=1)
    assert ended.outcomes == {"app:v1": "conflict", "app:v2": "copied"}
    assert (repository.digest("v1"), repository.digest("v2")) == (theirs, newest["v2"])


def test_a_lost_state_makes_a_moved_tag_a_conflict_and_nothing_worse(
    layoutlift: Layoutlift, target: str, repository: RepositoryView, tmp_path: Path
) -> None:
    first = write(tmp_path)
    layoutlift.migrate(tmp_path, target, "--state", layoutlift.home / "first")
    again = layoutlift.migrate(tmp_path, target, "--state", layoutlift.home / "second")
    assert set(again.outcomes.values()) == {"up_to_date"}
    assert again.totals["blobs_pushed"] == 0
    write(tmp_path, b"newer")
    ended = layoutlift.migrate(tmp_path, target, "--state", layoutlift.home / "third", code=1)
    assert set(ended.outcomes.values()) == {"conflict"}
    assert repository.digest("v1") == first["v1"]


def test_backup_tag_keeps_what_is_overwritten(
    layoutlift: Layoutlift, target: str, repository: RepositoryView, tmp_path: Path
) -> None:
    digests = write(tmp_path)
    theirs = repository.push_image("v1")
    layoutlift.migrate(tmp_path, target, "--on-conflict", "overwrite", "--backup-tag", "before-{tag}")
    assert repository.digest("before-v1") == theirs
    assert repository.digest("v1") == digests["v1"]
    assert repository.tags == {"v1", "v2", "before-v1"}
    ended = layoutlift.migrate(tmp_path, target, "--backup-tag", "same", code=2)
    assert "{tag}" in ended.stderr
