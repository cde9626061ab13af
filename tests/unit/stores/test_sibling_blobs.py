"""The bytes of an empty blob are found wherever they are, at a cost that grows with the source and not its square."""

import random
from collections.abc import Iterator

from tasks.oci.digest import Digest
from tasks.oci.errors import SourceReadError
from tasks.oci.image_layout import blob_path
from tasks.stores.sibling_blobs import WORTH_A_LISTING, SiblingBlobs

LAYOUTS = [f"app{number}" for number in range(60)]
SIZE = 7


class Counted:
    """A source in which each blob has its bytes in one layout and is empty in another; counts what it is asked."""

    def __init__(self, blobs: int) -> None:
        self.digests = [Digest.of(b"%d" % number) for number in range(blobs)]
        self.sizes: dict[str, dict[Digest, int]] = {layout: {} for layout in LAYOUTS}
        chance = random.Random(blobs)
        for digest in self.digests:
            home, empty = chance.sample(LAYOUTS, 2)
            self.sizes[home][digest], self.sizes[empty][digest] = SIZE, 0
        self.looks, self.listings = 0, 0
        self.broken = False

    def size_of(self, path: str) -> int | None:
        self.looks += 1
        layout, _, blob = path.partition("/")
        return {blob_path(digest): size for digest, size in self.sizes[layout].items()}.get(blob)

    def blobs_of(self, layout: str) -> Iterator[tuple[Digest, int]]:
        if self.broken:
            raise SourceReadError(f"{layout} can't be listed")
        self.listings += 1
        return iter(self.sizes[layout].items())

    def siblings(self) -> SiblingBlobs:
        return SiblingBlobs(lambda: iter(LAYOUTS), self.size_of, self.blobs_of)

    def home_of(self, digest: Digest) -> str:
        (home,) = [layout for layout, sizes in self.sizes.items() if sizes.get(digest)]
        return f"{home}/{blob_path(digest)}"


def test_many_empty_blobs_take_no_square_of_looks() -> None:
    source = Counted(blobs=10 * len(LAYOUTS))
    siblings = source.siblings()
    for digest in source.digests:
        assert siblings.find(digest, SIZE) == siblings.find(digest, None) == source.home_of(digest)
        assert siblings.find(digest, SIZE + 1) is None
    assert siblings.find(Digest.of(b"nobody has it"), SIZE) is None
    assert source.listings == 2 * len(LAYOUTS)
    assert source.looks <= (WORTH_A_LISTING + 4) * len(LAYOUTS)


def test_a_few_empty_blobs_are_looked_for_one_by_one() -> None:
    source = Counted(blobs=WORTH_A_LISTING)
    siblings = source.siblings()
    assert [siblings.find(digest, SIZE) for digest in source.digests] == list(map(source.home_of, source.digests))
    assert source.listings == 0


def test_a_source_that_can_not_be_listed_is_still_looked_through() -> None:
    source = Counted(blobs=10 * len(LAYOUTS))
    source.broken = True
    siblings = source.siblings()
    failed = 0
    for digest in source.digests:
        try:
            found = siblings.find(digest, SIZE)
        except SourceReadError:
            failed += 1
            found = siblings.find(digest, SIZE)  # as it is asked again
        assert found == source.home_of(digest)
    assert 0 < failed < len(source.digests) / WORTH_A_LISTING
    source.broken = False
    assert siblings.find(source.digests[0], None) == source.home_of(source.digests[0])
