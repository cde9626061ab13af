"""Who may change a source, and on whose word."""

import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from tasks import cleanup_applies
from tasks.cleanup_applies import Cleaner, CleanerOptions, open_cleaner
from tasks.file_ports import StoredFile
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError, InterruptedRunError, LockHeldError, RefusedError
from tasks.operations.choosing.ages import FUTURE_SECONDS
from tasks.operations.cleanup.applying import old_runs
from tasks.operations.cleanup.applying.apply_tools import ApplyTools, RepositoryOutcome
from tasks.operations.cleanup.applying.dropping import drop_layout
from tasks.operations.cleanup.values import IndexEntry, QuarantineMode, RepositoryPlan, Timing
from tasks.stop import Stop
from tasks.stores import source_lease
from tasks.stores.bucket import s3_client
from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.bucket.s3_writing import WritableS3Bucket
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.state.lock_holder import EXPIRY_SECONDS, LockHolder
from tests.support.buckets import moto_bucket
from tests.support.cleanup_world import World
from tests.support.layouts import LayoutBuilder

TIMING = Timing(grace=0.0, hold=0.0)
PLAN = RepositoryPlan("app", "etag", removals=(IndexEntry("v1", Descriptor("a/b", Digest.of(b""), 0)),))

MARKER = '{"imageLayoutVersion":"1.0.0"}'
SETTLED = ".layoutlift/runs/old/app/000001-settled.json"
NOTHING = {"time": 1.0, "removed": [], "added": [], "files": [], "trash": None, "contents": [], "etag": ""}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source" / "app").mkdir(parents=True)
    return tmp_path / "source"


def cleaner(
    source: Path, run: str = "run", *, only_writer: bool = False, timing: Timing = TIMING
) -> AbstractContextManager[Cleaner]:
    return open_cleaner(CleanerOptions(str(source), BucketAccess(), timing, run, only_writer=only_writer), Stop())


def note_dropped(source: Path) -> None:
    """Have it that an old run dropped the layout, as its journal says."""
    record = source / ".layoutlift/runs/old/app/000001-drop.json"
    record.parent.mkdir(parents=True)
    contents = [["app/index.json", "{}"], ["app/oci-layout", "marker"]]
    body = {"time": 1.0, "removed": [], "added": [], "files": [], "trash": None, "contents": contents, "etag": ""}
    record.write_text(json.dumps(body))


def test_a_directory_is_changed_only_where_the_user_vouches_for_being_alone(source: Path) -> None:
    with cleaner(source) as held, pytest.raises(RefusedError, match="i-am-the-only-writer"):
        held.check_allowed([PLAN])
    with cleaner(source, only_writer=True) as held:
        held.check_allowed([PLAN])


def test_what_takes_nothing_away_needs_nobodys_word(source: Path) -> None:
    with cleaner(source) as held:
        held.check_allowed([RepositoryPlan("app", "etag")])


@pytest.mark.parametrize(("mode", "reads"), [(QuarantineMode.PREFIX, False), (QuarantineMode.NONE, True)])
def test_a_plan_is_not_read_once_more_where_nothing_in_it_can_need_that_word(
    mode: QuarantineMode, *, reads: bool
) -> None:
    """It may be of a hundred thousand tags, and nobody else cleans up meanwhile."""
    tools = replace(World().tools(), timing=replace(TIMING, mode=mode))
    plans = iter([PLAN])
    Cleaner(tools, Stop(), only_writer=False, forgets=False).check_allowed(plans)
    assert list(plans) == ([] if reads else [PLAN])


def test_a_source_has_one_cleaner(source: Path) -> None:
    with cleaner(source, "first"), pytest.raises(LockHeldError, match="first"), cleaner(source, "second"):
        pass


def test_a_run_whose_lease_was_taken_over_changes_no_layout(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = LayoutBuilder(source / "app")
    image = layout.image("v1", layers=[b"layer"])
    layout.write()
    entry = IndexEntry("v1", Descriptor(image["mediaType"], Digest(image["digest"]), image["size"]))
    before = LayoutDirectory(source).read_index("app")
    plan = RepositoryPlan("app", before.etag, removals=(entry,))
    clock = source_lease.uptime
    with cleaner(source, only_writer=True) as held:
        other = {**asdict(LockHolder.here("theirs", str(source), "")), "host": "other", "machine": "other"}
        (source / source_lease.PATH).write_text(json.dumps(other))
        monkeypatch.setattr(source_lease, "uptime", lambda: clock() + EXPIRY_SECONDS)  # as after a sleep
        with pytest.raises(LockHeldError, match="took the lease"):
            list(held.apply([plan]))
    assert LayoutDirectory(source).read_index("app").raw == before.raw
    assert not (source / ".layoutlift/runs").exists(), "nothing was announced"


def test_a_run_that_is_told_to_end_begins_no_further_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also none that a worker was to take next."""
    begun, stop, waits, told = [], Stop(), threading.Event(), threading.Event()

    def plans() -> Iterator[RepositoryPlan]:
        for path in "abcdef":
            if path == "e":
                waits.set()
            yield RepositoryPlan(path, "etag")

    def apply(_: ApplyTools, plan: RepositoryPlan) -> RepositoryOutcome:
        begun.append(plan.path)
        if len(begun) == cleanup_applies.REPOSITORIES_AT_ONCE:
            assert waits.wait(30)
            stop.set()
            told.set()
        assert told.wait(30)
        return RepositoryOutcome(plan.path)

    monkeypatch.setattr(cleanup_applies, "apply_repository", apply)
    outcomes = Cleaner(World().tools(), stop, only_writer=True, forgets=False).apply(plans())
    assert [next(outcomes).path for _ in "abcd"] == list("abcd")
    with pytest.raises(InterruptedRunError):
        next(outcomes)
    assert sorted(begun) == list("abcd")


def test_a_source_that_is_not_there_is_not_made(source: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a directory"), cleaner(source.with_name("none")):
        pass
    assert list(source.parent.iterdir()) == [source]


def test_a_directory_keeps_no_versions(source: Path) -> None:
    timing = Timing(0.0, 0.0, QuarantineMode.VERSIONS)
    with pytest.raises(ConfigurationError, match="keeps versions"), cleaner(source, timing=timing):
        pass


def test_a_run_that_never_was_is_not_undone(source: Path) -> None:
    with cleaner(source, only_writer=True) as held, pytest.raises(ConfigurationError, match="never"):
        held.undo("never")  # before any outcome is asked for


def test_a_directory_is_put_back_only_where_the_user_vouches_for_being_alone(source: Path) -> None:
    note_dropped(source)
    with cleaner(source) as held, pytest.raises(RefusedError, match="only-writer"):
        held.undo("old")  # before any outcome is asked for
    assert list((source / "app").iterdir()) == []
    with cleaner(source, only_writer=True) as held:
        assert [outcome.path for outcome in held.undo("old")] == ["app"]
    assert (source / "app/index.json").read_text() == "{}"


def test_where_nothing_is_to_be_undone_nothing_is_written(source: Path) -> None:
    options = CleanerOptions(str(source), BucketAccess(), TIMING, "run", only_writer=True, undoes="never")
    with pytest.raises(ConfigurationError, match="never"), open_cleaner(options, Stop()):
        pass
    assert [path.name for path in source.rglob("*")] == ["app"]


def test_runs_are_forgotten_only_by_the_times_of_a_policy(source: Path) -> None:
    record = source / SETTLED
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps(NOTHING))
    for forgets in (False, True):
        options = CleanerOptions(str(source), BucketAccess(), TIMING, "run", only_writer=True, forgets=forgets)
        with open_cleaner(options, Stop()) as held:
            assert list(held.apply([])) == []
        assert record.exists() is not forgets


def test_keys_below_our_folder_that_are_no_path_keep_no_run_from_being_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other tools write such keys; nothing of ours can be asked for by them."""
    monkeypatch.setattr(old_runs, "DRAFT_SECONDS", -1e6)
    odd = [
        ".layoutlift/runs//x",
        ".layoutlift/runs/old/app//x",
        ".layoutlift/trash/old//x",
        ".layoutlift/drafts/../x",
    ]
    with moto_bucket("bucket", monkeypatch) as client:
        for key in (SETTLED, ".layoutlift/drafts/left", *odd):
            client.put_object(Bucket="bucket", Key=f"tree/{key}", Body=json.dumps(NOTHING).encode())
        client.create_multipart_upload(Bucket="bucket", Key="tree/.layoutlift/trash/old//x")
        options = CleanerOptions("s3://bucket/tree", BucketAccess(), TIMING, "run", only_writer=True)
        with open_cleaner(options, Stop()) as held:
            assert list(held.apply([])) == []
        keys = {found["Key"].removeprefix("tree/") for found in client.list_objects_v2(Bucket="bucket")["Contents"]}
    assert keys == {*odd, ".layoutlift/lease", ".layoutlift/clock"}


def test_the_clock_of_a_bucket_is_not_written_for_each_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores let a key be written once a second, and keep each of its versions where they keep any."""
    written: list[str] = []
    with moto_bucket("bucket", monkeypatch) as client:
        for number in range(20):
            for name, text in (("index.json", '{"schemaVersion":2,"manifests":[]}'), ("oci-layout", MARKER)):
                client.put_object(Bucket="bucket", Key=f"app{number}/{name}", Body=text.encode())
        put = WritableS3Bucket.put
        monkeypatch.setattr(WritableS3Bucket, "put", lambda *asked: written.append(asked[1]) or put(*asked))
        with open_cleaner(CleanerOptions("s3://bucket", BucketAccess(), TIMING, "run"), Stop()) as held:
            done = list(held.apply(RepositoryPlan(f"app{number}", "etag") for number in range(20)))
    assert [outcome.problems for outcome in done] == [[]] * 20
    assert written.count(".layoutlift/clock") == 1


def test_a_bucket_keeps_a_connection_for_each_that_works_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than are kept is closed after its request, and the next one is encrypted anew."""
    kept: set[int] = set()
    made = s3_client.make_clients

    def make_clients(access: BucketAccess, *seconds: float) -> list[S3Client]:
        kept.add(access.connections)
        return made(access, *seconds)

    with moto_bucket("bucket", monkeypatch) as client:
        monkeypatch.setattr(s3_client, "make_clients", make_clients)
        client.put_object(Bucket="bucket", Key="app/oci-layout", Body=MARKER.encode())
        with open_cleaner(CleanerOptions("s3://bucket", BucketAccess(), TIMING, "run", jobs=64), Stop()):
            pass
    assert kept == {64 + cleanup_applies.REPOSITORIES_AT_ONCE}


def test_a_run_that_is_told_to_end_looks_at_no_further_layout_that_was_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each may take a mount a while, and of most there is nothing to tell."""
    world, stop, asked = World(), Stop(), set()
    for path in ("app", "other"):
        world.files.put(f"{path}/oci-layout", MARKER.encode())
        world.files.put(f"{path}/index.json", b'{"schemaVersion":2,"manifests":[]}')
        assert drop_layout(world.tools(), path)
    stat_file = world.files.stat_file

    def look(path: str, *, waits: bool = True) -> StoredFile | None:
        stop.set()
        asked.add(path.partition("/")[0])
        return stat_file(path, waits=waits)

    monkeypatch.setattr(world.files, "stat_file", look)
    with pytest.raises(InterruptedRunError):
        list(Cleaner(world.tools(), stop, only_writer=True, forgets=False).apply([]))
    assert asked == {"app"}


def test_a_layout_that_a_writer_came_back_to_is_made_whole_by_the_next_run(source: Path) -> None:
    note_dropped(source)
    (source / "app/index.json").write_text("a writer's")
    with cleaner(source) as held:
        assert [(outcome.path, outcome.remade) for outcome in held.apply([])] == [("app", True)]
    assert (source / "app/oci-layout").read_text() == "marker"
    assert (source / "app/index.json").read_text() == "a writer's"


@pytest.mark.parametrize("only_writer", [False, True])
def test_the_index_of_a_dropped_layout_comes_back_in_a_directory_only_where_nobody_else_writes(
    source: Path, *, only_writer: bool
) -> None:
    """A writer may bring its own at that moment."""
    note_dropped(source)
    (source / "app/oci-layout").write_text("marker")
    with cleaner(source, only_writer=only_writer) as held:
        assert [outcome.remade for outcome in held.apply([])] == ([True] if only_writer else [])
    assert (source / "app/index.json").exists() is only_writer


def test_a_plan_that_was_made_by_a_clock_ahead_of_the_sources_is_refused(source: Path) -> None:
    with cleaner(source) as held:
        now = held.tools.source.files.now()
        held.check_clock(now - 1e6)
        held.check_clock(now + FUTURE_SECONDS / 2)
        with pytest.raises(RefusedError, match="in the future"):
            held.check_clock(now + FUTURE_SECONDS + 60)
