"""Many tags, of which the newest ten of each repository stay: quick, in little memory, and honest about bytes.

The figures are printed; run with `-s` to see them.
"""

import json
import random
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.real_parts import Registry, S3Fs, SeaweedFS
from tests.support.buckets import upload
from tests.support.command import Ended, Layoutlift
from tests.support.fault_proxy import FaultProxy
from tests.support.layouts import LayoutBuilder, random_bytes
from tests.support.policies import newest_by_name
from tests.support.real_parts import Cli, running

POLICY = newest_by_name(10, 100)
KEPT = 10
CPU_A_TAG = 0.006
"""Seconds; 0.0016 were measured on a quiet machine, most of them for the GET of the tag's manifest."""
CPU_FIXED = 6.0
MOST_MEMORY = 160 * 1024
"""KiB; the interpreter with the AWS SDK has 80 MiB of it."""
REQUESTS_A_REPOSITORY, FIXED_REQUESTS = 6, 5
"""For one: its marks (twice where there are none), blobs, leftovers, uploads, index; for all: listings."""
SEVERAL = 8
ALONE = "--i-am-the-only-writer"


@dataclass(frozen=True)
class Scale:
    """How much there is; `pulls` says how many of the kept tags of each repository are pulled."""

    repositories: int
    tags: int
    pulls: int


SMALL, LARGE = Scale(3, 40, 1), Scale(100, 100, KEPT)


def write_tree(root: Path, scale: Scale) -> None:
    """Repositories whose tags share a layer with all, another with some, and have referrers now and then."""
    for number in range(scale.repositories):
        layout = LayoutBuilder(root / f"team-{number % 10}" / f"app-{number}")
        for tag in range(scale.tags):
            layers = [random_bytes(number, 2000), random_bytes(10**6 + number * 1000 + tag // 4, 1000 + tag)]
            image = layout.image(f"v{tag:04}", layers=layers, annotations={"build": f"{number}-{tag}"})
            if tag % 10 in {0, 9}:
                layout.referrer(image, content=b"sbom %d %d" % (number, tag))
        layout.write()


def sizes(s3: SeaweedFS, bucket: str) -> dict[str, int]:
    """What the bucket's own listing says is there of layouts."""
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    found = {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", ())}
    return {key: size for key, size in found.items() if not key.endswith("/")}


def disk_use(root: Path) -> dict[str, int]:
    """What `du --apparent-size` counts, file by file."""
    return {str(path.relative_to(root)): path.stat().st_size for path in root.rglob("*") if path.is_file()}


def blob_bytes(found: Mapping[str, int]) -> int:
    """Bytes of blobs, wherever they are: those in the quarantine are not given back yet."""
    return sum(size for path, size in found.items() if "/blobs/" in path)


@dataclass
class Cleanup:
    """Plans and applies, with what that cost."""

    command: Layoutlift
    source: str
    folder: Path
    flags: tuple[str, ...] = ()
    cpu: float = 0.0
    peak: int = 0

    def plan(self) -> dict[str, int]:
        """The totals that the plan's file ends with."""
        (self.folder / "policy.yaml").write_text(POLICY)
        file = self.folder / "plan.jsonl"
        self._measured("cleanup", "plan", self.source, "--policy", self.folder / "policy.yaml", "-o", file)
        return json.loads(file.read_bytes().splitlines()[-1])["totals"]

    def apply(self) -> Ended:
        return self._measured("cleanup", "apply", self.folder / "plan.jsonl", *self.flags)

    def _measured(self, *arguments: str | Path) -> Ended:
        before, began = cpu_of_children(), time.monotonic()
        command, peak = self.command.measured()
        ended = command(*arguments)
        self.cpu, self.peak = cpu_of_children() - before, int(peak.read_text())
        seconds = time.monotonic() - began
        print(f"{' '.join(map(str, arguments[:2]))}: {seconds:.1f} s, {self.cpu:.1f} s CPU, {self.peak // 1024} MiB")
        return ended


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def kept_tags(scale: Scale) -> list[str]:
    return [f"v{tag:04}" for tag in range(scale.tags - KEPT, scale.tags)]


def check_pulls(oras: Cli, tree: Path, folder: Path, scale: Scale) -> int:
    """Pull kept tags of every repository as users do; how many."""
    chance = random.Random(10)

    def pull(place: tuple[Path, str]) -> None:
        layout, tag = place
        to = folder / f"{layout.name}-{tag}"
        oras("copy", "--from-oci-layout", f"{layout}:{tag}", "--to-oci-layout", f"{to}:{tag}", "--recursive")

    layouts = [path.parent for path in tree.rglob("oci-layout")]
    assert len(layouts) == scale.repositories
    places = [(layout, tag) for layout in layouts for tag in chance.sample(kept_tags(scale), scale.pulls)]
    with ThreadPoolExecutor(SEVERAL) as pool:
        list(pool.map(pull, places))
    return len(places)


def clean_all(cleanup: Cleanup, look: Callable[[], Mapping[str, int]], scale: Scale) -> None:
    """Plan and apply until everything is given back; what each plan says is what then is gone."""
    tags, start = scale.repositories * scale.tags, look()
    totals = cleanup.plan()
    assert cleanup.cpu < CPU_FIXED + CPU_A_TAG * tags
    assert cleanup.peak < MOST_MEMORY
    assert (totals["tags_kept"], totals["tags_deleted"]) == (
        KEPT * scale.repositories,
        tags - KEPT * scale.repositories,
    )
    promised = totals["bytes_later"]
    assert (totals["bytes_now"], totals["bytes_kept"]) == (0, blob_bytes(start) - promised)
    for now in (0, 0, promised):
        before = look()
        totals = cleanup.plan()
        assert (totals["bytes_now"], totals["bytes_later"]) == (now, promised - now)
        cleanup.apply()
        assert cleanup.peak < MOST_MEMORY
        assert blob_bytes(before) - blob_bytes(look()) == now
    assert not [path for path in look() if path.startswith(".layoutlift/trash/") and "/blobs/" in path]
    totals = cleanup.plan()
    assert (totals["bytes_now"], totals["bytes_later"], totals["bytes_kept"]) == (0, 0, blob_bytes(look()))


@pytest.mark.fuse
@pytest.mark.parametrize(
    "scale", [SMALL, pytest.param(LARGE, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])], ids=["small", "large"]
)
def test_what_a_plan_says_comes_back_is_what_is_gone_from_the_bucket_and_the_rest_is_whole(
    tmp_path: Path,
    layoutlift: Layoutlift,
    seaweedfs: SeaweedFS,
    oras_cli: Cli,
    docker_registry: Registry,
    prefix: str,
    scale: Scale,
) -> None:
    layoutlift.environment.update(seaweedfs.environment())
    layoutlift.deadline_seconds = 1800
    bucket = seaweedfs.create_bucket(f"cleanup-scale-{scale.repositories}")
    write_tree(tmp_path / "tree", scale)
    upload(seaweedfs, tmp_path / "tree", bucket)
    source = f"s3://{bucket}"
    clean_all(Cleanup(layoutlift, source, tmp_path), lambda: sizes(seaweedfs, bucket), scale)
    target = f"{docker_registry.host}/{prefix}"
    layoutlift("check", source, "--depth", "content")
    assert layoutlift.migrate(source, target).totals["copied"] == KEPT * scale.repositories
    assert layoutlift.verify(source, target, "--depth", "content").totals["tags"] == KEPT * scale.repositories
    with running(S3Fs(tmp_path / "s3fs", s3=seaweedfs, bucket=bucket, read_only=True)) as mount:
        pulled = check_pulls(oras_cli, mount.mountpoint, tmp_path / "pulled", scale)
    assert pulled == scale.repositories * scale.pulls


def test_so_it_is_with_what_du_counts_of_a_directory(tmp_path: Path, layoutlift: Layoutlift, oras_cli: Cli) -> None:
    tree = tmp_path / "tree"
    write_tree(tree, SMALL)
    clean_all(Cleanup(layoutlift, str(tree), tmp_path, (ALONE,)), lambda: disk_use(tree), SMALL)
    layoutlift.check(tree, "--depth", "content")
    assert check_pulls(oras_cli, tree, tmp_path / "pulled", SMALL) == SMALL.repositories


@pytest.fixture
def proxy(seaweedfs: SeaweedFS) -> Iterator[FaultProxy]:
    """Counts what the store is asked."""
    proxy = FaultProxy(seaweedfs.endpoint.partition("//")[2])
    yield proxy
    proxy.stop()


def test_a_plan_asks_a_bucket_once_for_each_manifest_and_a_few_times_for_each_repository(
    tmp_path: Path, layoutlift: Layoutlift, seaweedfs: SeaweedFS, proxy: FaultProxy
) -> None:
    layoutlift.environment |= {**seaweedfs.environment(), "AWS_ENDPOINT_URL": proxy.url}
    bucket = seaweedfs.create_bucket("cleanup-requests")
    write_tree(tmp_path / "tree", SMALL)
    upload(seaweedfs, tmp_path / "tree", bucket)
    Cleanup(layoutlift, f"s3://{bucket}", tmp_path).plan()
    assert {seen.method for seen in proxy.seen} == {"GET"}
    referrers = sum(tag % 10 in {0, 9} for tag in range(SMALL.tags))
    manifests = SMALL.repositories * (SMALL.tags + referrers)
    most = manifests + REQUESTS_A_REPOSITORY * SMALL.repositories + FIXED_REQUESTS
    assert manifests < len(proxy.seen) <= most
