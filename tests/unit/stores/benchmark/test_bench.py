"""What is no failure of a path is not counted as one."""

from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tasks.benchmark_values.cases import MIB, parse_case
from tasks.benchmark_values.facts import Phase
from tasks.benchmark_values.options import ContentKind
from tasks.benchmark_values.paths import Arrives, Visit
from tasks.oci.errors import DigestMismatchError, LayoutliftError, ProgramFailedError, StateError
from tasks.operations.benchmark.catalogue import CATALOGUE
from tasks.stop import Stop
from tasks.stores.benchmark import bench as benchmark_bench
from tasks.stores.benchmark import bucket_area, mounted_path
from tasks.stores.benchmark.bench import Bench
from tasks.stores.benchmark.bucket_area import BucketArea
from tasks.stores.benchmark.remains import WorkFolder
from tasks.stores.benchmark.request_counts import Counts
from tasks.stores.benchmark.timed_command import CommandTime
from tasks.stores.benchmark.venue import Venue
from tasks.stores.benchmark.venues import bucket_venue
from tasks.stores.bucket.s3_address import BucketAddress
from tasks.stores.local_parts.processes import ProcessUse
from tasks.stores.local_parts.waiting import POLL_INTERVAL_SECONDS

if TYPE_CHECKING:
    from tasks.stores.benchmark.counting_proxy import CountingProxy

CASE = parse_case("1kB")


def a_venue() -> Venue:
    return bucket_venue(
        "run", "s3://none", endpoint_url="http://127.0.0.1:9", registry=None, plain_http=False, is_read=True
    )


@pytest.mark.parametrize(("free", "expected"), [(0, StateError), (64 * MIB, ProgramFailedError)])
def test_a_program_that_fails_on_a_full_disk_ends_the_run_and_is_not_called_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, expected: type[LayoutliftError]
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    path = replace(CATALOGUE["directory"], pull=("/bin/sh", "-c", "echo no space left >&2; exit 1"))
    with WorkFolder(tmp_path, "run") as work:
        bench = Bench(a_venue(), work, Stop(), 0.0, drop_caches=False)
        bench.begin(CASE, ContentKind.BINARY)
        with pytest.raises(expected, match="no space left"):
            next(bench.visit(Visit(path, CASE, 1)))


LIVES = "echo $$ > new && mv new pid; exec sleep 600"
ENDED = "pid=$(cat mounted/pid); kill -9 $pid; while grep -qs '^State:.[^ZX]' /proc/$pid/status; do :; done"
TELLS = "'https://s3/key?X-Amz-Signature=hidden'"


def stand_in_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is mounted be a program that only lives."""
    monkeypatch.setattr(mounted_path, "check_fuse", lambda: None)
    monkeypatch.setattr(mounted_path, "is_mounted", lambda mountpoint: (mountpoint.parent / "pid").exists())
    monkeypatch.setattr(mounted_path, "unmount", lambda _: None)


@pytest.mark.parametrize("pull", [f"{ENDED}; exit 1", ENDED], ids=["failing", "ending well"])
@pytest.mark.parametrize(
    ("says", "said"),
    [
        ("echo out of memory", "out of memory"),
        (f"echo {TELLS}", r"https://s3/key\?…$"),
        ("true", "it said nothing"),
    ],
)
def test_a_mount_that_dies_is_told_by_what_it_said_and_not_by_what_was_read_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pull: str, says: str, said: str
) -> None:
    stand_in_mount(monkeypatch)
    mount = ("/bin/sh", "-c", f"{says}; {LIVES}")
    path = replace(CATALOGUE["directory"], mount=mount, unmount=("true",), pull=("/bin/sh", "-c", pull))
    with WorkFolder(tmp_path, "run") as work:
        bench = Bench(a_venue(), work, Stop(), 0.0, drop_caches=False)
        bench.begin(CASE, ContentKind.BINARY)
        with pytest.raises(ProgramFailedError, match=f"directory ended while it was used: {said}"):
            next(bench.visit(Visit(path, CASE, 1)))


def test_a_copy_into_a_registry_that_did_not_end_is_deleted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its blobs may be there already, and take somebody's room."""
    monkeypatch.setenv("LAYOUTLIFT_TOOLS", str(tmp_path))
    (tmp_path / "oras").write_text(ORAS)
    (tmp_path / "oras").chmod(0o755)
    venue = replace(a_venue(), registry="host/name", has_others_registry=True)
    with WorkFolder(tmp_path / "root", "run") as work:
        bench = Bench(venue, work, Stop(), 0.0, drop_caches=False)
        bench.begin(CASE, ContentKind.BINARY)
        assert bench.leave_registry(CASE) == []
        with pytest.raises(ProgramFailedError, match="connection lost"):
            bench.push(CATALOGUE["registry"], CASE)
        assert bench.leave_registry(CASE) == []
        assert (work.path / "asked").read_text().splitlines() == [
            "cp --no-tty",
            "manifest delete",
            "blob delete",
        ]


ORAS = """#!/bin/sh
if [ "$1" = push ]; then
  mkdir -p ../layouts/junk/blobs/sha256 && touch ../layouts/junk/blobs/sha256/aa
  echo '{"manifests": []}' > ../layouts/junk/index.json
  exit
fi
echo "$1 $2" >> asked
if [ "$1" = cp ]; then echo connection lost; exit 1; fi
"""


def test_a_pull_that_has_nothing_to_read_before_is_cold_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.stores.benchmark.page_cache.drop", lambda: None)
    path = replace(CATALOGUE["directory"], warm_up=(), pull=("/bin/sh", "-c", "cp content/* {out}"))
    with WorkFolder(tmp_path, "run") as work:
        bench = Bench(a_venue(), work, Stop(), 0.0, drop_caches=True)
        bench.begin(CASE, ContentKind.BINARY)
        assert [phase for phase, _ in bench.visit(Visit(path, CASE, 1))] == [Phase.COLD, Phase.WARM]


@pytest.mark.parametrize(("name", "option"), [("s3fs", "tmpdir"), ("rclone", "--cache-dir")])
def test_what_a_mount_puts_on_the_disk_is_where_room_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, option: str
) -> None:
    """Else its /tmp runs full, whatever --state says."""
    stand_in_mount(monkeypatch)
    monkeypatch.setenv("LAYOUTLIFT_TOOLS", str(tmp_path))
    (tmp_path / name).write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/words\n{LIVES}\n')
    (tmp_path / name).chmod(0o755)
    path = replace(CATALOGUE[name], unmount=("/bin/sh", "-c", "kill $(cat $0/../pid)", "{cache}"))
    with WorkFolder(tmp_path / "root", "run") as work:
        area = BucketArea(a_venue().client, BucketAddress("none", "p/"), "run")
        bench = Bench(replace(a_venue(), areas={"none": area}), work, Stop(), 0.0, drop_caches=False)
        bench.begin(CASE, ContentKind.BINARY)
        with pytest.raises(ProgramFailedError):
            next(bench.visit(Visit(replace(path, pull=("/bin/false",)), CASE, 1)))
        words = (tmp_path / "words").read_text().replace("=", " ").split()
        assert words[words.index(option) + 1].startswith(f"{work.path}/")


BY_DIGEST = 'for each in content/*; do sum=$(sha256sum "$each"); cp "$each" "{out}/${{sum%% *}}"; done'


SPOILT = "for each in {out}/*; do echo > $each; done"


@pytest.mark.parametrize(("also", "is_right"), [("true", True), (SPOILT, False)])
def test_blobs_that_come_from_where_a_path_pushed_them_itself_are_proved_by_the_content(
    tmp_path: Path, also: str, *, is_right: bool
) -> None:
    """Nothing is in the plain directory then; the manifest of each push is another one, besides."""
    pull = ("/bin/sh", "-c", f"{BY_DIGEST}; {also}")
    path = replace(CATALOGUE["s3fs"], mount=(), last=(), pull=pull, arrives=Arrives.BLOBS)
    venue = replace(a_venue(), areas={"none": BucketArea(a_venue().client, BucketAddress("none", "p/"), "run")})
    with WorkFolder(tmp_path, "run") as work:
        bench = Bench(venue, work, Stop(), 0.0, drop_caches=False)
        bench.begin(parse_case("1kBx2"), ContentKind.BINARY)
        with nullcontext() if is_right else pytest.raises(DigestMismatchError):
            assert len(list(bench.visit(Visit(path, parse_case("1kBx2"), 1)))) == 2


class Service:
    """Says how often it was asked; the program of a mount works as long as it is."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def now(self) -> Counts:
        return Counts(Counter(self.asked), 0)

    def use(self) -> ProcessUse:
        return ProcessUse(float(self.asked["PUT"]), 0.0, self.asked["PUT"])


def test_what_a_mount_does_after_a_push_belongs_to_it_and_looking_whether_it_is_done_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rclone uploads five seconds after a file was closed: the push lasts until then."""
    service = Service()
    listings: list[dict[str, int]] = [{}, {}, {"index.json": 1, f"blobs/sha256/{'a' * 64}": CASE.size}]
    area = BucketArea(a_venue().client, BucketAddress("none", "p/"), "run")

    def upload(_: str) -> dict[str, int]:
        service.asked += Counter(PUT=2, LIST=1)
        return listings.pop(0)

    monkeypatch.setattr(area, "sizes", upload)
    monkeypatch.setattr(area, "prepare", lambda _: None)
    venue = replace(a_venue(), counter=cast("CountingProxy", service), areas={"none": area})
    venue.programs["oras"] = Path("/bin/true")
    stand_in_mount(monkeypatch)
    monkeypatch.setattr(mounted_path.MountedPath, "use", property(lambda _: service.use()))
    with WorkFolder(tmp_path, "run") as work:
        bench = Bench(venue, work, Stop(), 0.0, drop_caches=False)
        bench.begin(CASE, ContentKind.BINARY)
        ends = ("/bin/sh", "-c", "kill $(cat $0/../pid)", "{cache}")
        path = replace(CATALOGUE["rclone"], mount=("/bin/sh", "-c", LIVES), last=(), unmount=ends)
        cost = bench.push(path, CASE)
    assert cost is not None
    assert cost.s3_requests == {"PUT": 6}
    assert (cost.fuse_user, cost.fuse_peak) == (6.0, 6)
    assert cost.wall > 2 * POLL_INTERVAL_SECONDS > cost.user


@pytest.mark.parametrize(("size", "seconds"), [("8MiB", 308.0), ("100GiB", 300.0 + 100 * 1024)])
def test_a_command_is_waited_for_as_long_as_its_size_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str, seconds: float
) -> None:
    """A path that hangs holds up all others meanwhile; a large pull over a slow line is no failure."""
    waited: list[float] = []

    class Waited:
        def __init__(self, *_: object, patience: float = 0.0, **__: object) -> None:
            waited.append(patience)

        def run(self, *_: object, **__: object) -> CommandTime:
            return CommandTime(1.0, 0.0, 0.0, None)

    monkeypatch.setattr(benchmark_bench, "TimedCommand", Waited)
    monkeypatch.setattr(benchmark_bench, "check_arrived", lambda *_: None)
    venue = replace(a_venue(), registry="host/name")
    venue.programs["oras"] = Path("/bin/true")
    with WorkFolder(tmp_path, "run") as work:
        bench = Bench(venue, work, Stop(), 0.0, drop_caches=False)
        bench.begin(CASE, ContentKind.BINARY)
        bench.push(CATALOGUE["registry"], parse_case(size))
        assert len(list(bench.visit(Visit(CATALOGUE["registry"], parse_case(size), 1)))) == 2
    assert waited == [seconds] * 4  # pushed to the plain directory, copied from there, pulled cold and warm


@pytest.mark.parametrize(("size", "seconds"), [("1MiB", 301.0), ("2GiB", 300.0 + 2048.0)])
def test_a_large_upload_over_a_slow_line_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, size: str, seconds: float
) -> None:
    """Rclone says that all is written long before it has uploaded it."""
    waited: list[float] = []
    monkeypatch.setattr(bucket_area, "wait_until", lambda *_, deadline_seconds, **__: waited.append(deadline_seconds))
    area = BucketArea(a_venue().client, BucketAddress("none", "p/"), "run")
    area.wait_until_complete("p/rclone", parse_case(size), "rclone", Stop())
    assert waited == [seconds]
