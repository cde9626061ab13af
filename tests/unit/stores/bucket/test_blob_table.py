"""Sizes and ages of blobs come out as they went in, and only layouts in work are held."""

import sys
import threading

from hypothesis import given
from hypothesis import strategies as st

from tasks.oci.digest import Digest
from tasks.ports import BlobStat
from tasks.stores.bucket.blob_table import BlobTable, BlobTables

CONTENTS = st.dictionaries(
    st.tuples(st.binary(max_size=4), st.sampled_from(["sha256", "sha512"])),
    st.tuples(st.integers(0, 2**63), st.floats(0, 2**40), st.booleans()),
)


@given(CONTENTS, st.randoms())
def test_what_was_put_in_is_found_and_nothing_else(contents: dict, order: object) -> None:
    known = {Digest.of(content, algorithm): stat for (content, algorithm), stat in contents.items()}
    rows = [(digest, *stat) for digest, stat in known.items()]
    order.shuffle(rows)
    table = BlobTable(rows)
    assert len(table) == len(known)
    assert all(table.find(digest) == BlobStat(*stat) for digest, stat in known.items())
    assert table.find(Digest.of(b"something else")) is None


def test_a_blob_takes_about_fifty_bytes() -> None:
    count = 20_000
    table = BlobTable((Digest.of(str(number).encode()), number, 1.0, True) for number in range(count))
    rows = table._rows["sha256"]
    assert sum(map(sys.getsizeof, (rows._digests, rows._sizes, rows._modified, rows._archived))) < 70 * count


def test_a_layout_is_listed_once_however_many_ask_at_once() -> None:
    digest, loaded, barrier = Digest.of(b""), [], threading.Barrier(4)

    def load(path: str) -> BlobTable:
        loaded.append(path)
        return BlobTable([(digest, 1, 1.0, False)])

    def ask() -> None:
        barrier.wait()
        assert tables.find("app", digest) == BlobStat(1, 1.0)

    tables = BlobTables(load)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == ["app"]


def test_only_the_layouts_asked_for_last_are_kept() -> None:
    loaded = []

    def load(path: str) -> BlobTable:
        loaded.append(path)
        return BlobTable([(Digest.of(b""), 1, 1.0, False), (Digest.of(b"1"), 1, 1.0, False)])

    tables = BlobTables(load, layouts_kept=2, blobs_kept=4)
    for path in ("a", "b", "a", "c", "a", "b"):
        tables.find(path, Digest.of(b""))
    assert loaded == ["a", "b", "c", "b"]
