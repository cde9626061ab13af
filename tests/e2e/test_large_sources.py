"""Memory follows the largest index of a source, and neither the number of its keys nor that of its manifests."""

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.command import Layoutlift
from tests.support.generated_bucket import BUCKET, GeneratedBucket, Keys
from tests.support.layouts import OCI_EMPTY, OCI_MANIFEST, REF_NAME, LayoutBuilder
from tests.support.scripted_s3 import INDEX, MARKER, VARIABLES

MEBIBYTE = 1024 * 1024
ENTRIES = 40_000
MANIFESTS = 100_000
LAYOUTS, KEYS_EACH = 5_000, 200
MOST = 250 * MEBIBYTE
PATIENCE_SECONDS = 3_600
Serve = Callable[[Sequence[str], Callable[[str], bytes]], GeneratedBucket]


@pytest.fixture
def serve(layoutlift: Layoutlift) -> Generator[Serve]:
    """Start a bucket that is computed; the command finds it and worthless credentials in its environment."""
    with ExitStack() as stack:

        def start(keys: Sequence[str], read: Callable[[str], bytes]) -> GeneratedBucket:
            server = GeneratedBucket(keys, read)
            stack.callback(server.stop)
            layoutlift.environment.update(VARIABLES, AWS_ENDPOINT_URL=server.url)
            return server

        yield start


def peak_of(layoutlift: Layoutlift, *arguments: str | Path) -> tuple[str, int]:
    """What a command printed, and the bytes of memory that it had at most."""
    measured, peak = layoutlift.measured()
    measured.deadline_seconds = PATIENCE_SECONDS
    ended = measured(*arguments)
    return ended.stdout, int(peak.read_text()) * 1024


def entry(number: int) -> dict[str, object]:
    """As ORAS writes them."""
    digest = f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}"
    annotations = {"org.opencontainers.image.created": "2026-01-01T00:00:00Z", REF_NAME: f"v{number:06}"}
    return {"mediaType": OCI_MANIFEST, "digest": digest, "size": 1_234, "annotations": annotations}


def test_a_listing_takes_no_more_than_three_times_its_index(layoutlift: Layoutlift, tmp_path: Path) -> None:
    small, large = LayoutBuilder(tmp_path / "small"), LayoutBuilder(tmp_path / "large")
    large.entries += map(entry, range(ENTRIES))
    small.write()
    size = (large.write() / "index.json").stat().st_size
    _, base = peak_of(layoutlift, "ls", small.path, "--json")
    printed, peak = peak_of(layoutlift, "ls", large.path, "--json")
    (listed,) = json.loads(printed)["repositories"]
    assert len(listed["tags"]) == ENTRIES
    assert peak - base <= 3 * size


@pytest.mark.soak
@pytest.mark.timeout(PATIENCE_SECONDS)
def test_a_million_keys_are_listed_in_bounded_memory(layoutlift: Layoutlift, serve: Serve) -> None:
    def key(number: int) -> str:
        layout, place = divmod(number, KEYS_EACH)
        names = {KEYS_EACH - 2: "index.json", KEYS_EACH - 1: "oci-layout"}
        return f"team-{layout:04}/app/{names.get(place, f'blobs/sha256/{place:064x}')}"

    def read(key: str) -> bytes:
        return MARKER if key.endswith("oci-layout") else INDEX

    server = serve(Keys(LAYOUTS * KEYS_EACH, key), read)
    printed, peak = peak_of(layoutlift, "ls", f"s3://{BUCKET}", "--json")
    assert len(json.loads(printed)["repositories"]) == LAYOUTS
    assert server.listings == LAYOUTS * KEYS_EACH / 1000 + 1
    assert server.reads == LAYOUTS
    print(f"{LAYOUTS * KEYS_EACH} keys: at most {peak / MEBIBYTE:.0f} MiB")
    assert peak < MOST


def manifest(number: int) -> bytes:
    empty = {"mediaType": OCI_EMPTY, "digest": f"sha256:{hashlib.sha256(b'{}').hexdigest()}", "size": 2}
    more = {"annotations": {"number": f"{number:06}"}}
    return json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty, "layers": [empty], **more}
    ).encode()


@pytest.mark.soak
@pytest.mark.timeout(PATIENCE_SECONDS)
def test_a_layout_of_a_hundred_thousand_manifests_is_checked_in_bounded_memory(
    layoutlift: Layoutlift, serve: Serve
) -> None:
    numbers, entries = {}, []
    for number in range(MANIFESTS):
        raw = manifest(number)
        encoded = hashlib.sha256(raw).hexdigest()
        numbers[f"app/blobs/sha256/{encoded}"] = number
        entries.append({**entry(number), "digest": f"sha256:{encoded}", "size": len(raw)})
    files = {
        "app/index.json": json.dumps({"schemaVersion": 2, "manifests": entries}).encode(),
        "app/oci-layout": MARKER,
        f"app/blobs/sha256/{hashlib.sha256(b'{}').hexdigest()}": b"{}",
    }

    def read(key: str) -> bytes:
        return files[key] if key in files else manifest(numbers[key])

    serve(sorted([*files, *numbers]), read)
    report = layoutlift.home / "checked.json"
    _, peak = peak_of(layoutlift, "check", f"s3://{BUCKET}", "--depth", "manifest", "--report", report)
    assert json.loads(report.read_bytes())["totals"]["tags"] == MANIFESTS
    print(f"{MANIFESTS} manifests: at most {peak / MEBIBYTE:.0f} MiB")
    assert peak < MOST
