"""A read of the source that fails for the moment costs nothing, whatever was read; one that stays broken is told."""

from collections import Counter
from pathlib import Path

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import SourceError, SourceReadError, SourceUnavailableError
from tasks.oci.reference import referrers_tag
from tasks.operations.running import tree_run
from tasks.operations.source.looking_again import RETRY_DELAYS
from tasks.ports import IndexFile
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.verified_content import VerifiedContent
from tests.support.engine import Engine
from tests.support.layouts import LayoutBuilder
from tests.support.memory_stores import MemoryTarget

INDEX = "index.json"


class Failing(LayoutDirectory):
    """A source of which some reads of one file fail: those numbered so, from the first look at it on."""

    def __init__(self, root: Path, name: str, at: range, kind: type[SourceError] = SourceReadError) -> None:
        super().__init__(str(root))
        self._name = name
        self._at = at
        self._kind = kind
        self._looks = Counter[str]()

    def _look(self, name: str) -> None:
        self._looks[name] += 1
        if name == self._name and self._looks[name] in self._at:
            raise self._kind(f"{name} can't be read: Input/output error")

    def read_index(self, path: str) -> IndexFile:
        self._look(INDEX)
        return super().read_index(path)

    def blob(self, path: str, descriptor: Descriptor) -> VerifiedContent:
        self._look(descriptor.digest)
        return super().blob(path, descriptor)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_run, "RETRY_DELAYS", (0.0,) * len(RETRY_DELAYS))


@pytest.fixture
def referrer(tmp_path: Path) -> str:
    """The digest of a signature in `app`, whose subject is `app:v1`."""
    layout = LayoutBuilder(tmp_path / "app")
    signature = layout.referrer(layout.image("v1", layers=[b"layer"]))
    layout.image("v2", layers=[b"other layer"])
    layout.write()
    return signature["digest"]


@pytest.fixture
def signed(tmp_path: Path) -> tuple[str, str]:
    """The digest of the index `app:v1`, and the tag of a signature of its platform, which tells of no `v1`."""
    layout = LayoutBuilder(tmp_path / "app")
    platform = layout.image(layers=[b"layer"], listed=False)
    signature = f"{referrers_tag(Digest(platform['digest']))}.sig"
    layout.image(signature, layers=[b"signature"])
    index = layout.index([platform], "v1")
    layout.write()
    return index["digest"], signature


def engine(
    root: Path, name: str, at: range, kind: type[SourceError] = SourceReadError, include: tuple[str, ...] = ()
) -> Engine:
    source = Failing(root, name, at, kind)
    return Engine(root, MemoryTarget(), wrap=lambda _: source, include=include)


def is_listed(made: Engine, referrer: str) -> bool:
    subject = made.target.resolve_manifest("app", "v1")
    return made.target.list_referrers("app", subject) == {referrer}


@pytest.mark.parametrize("first", range(1, 5), ids="look {}".format)
def test_a_referrer_that_can_not_be_read_for_the_moment_comes_along(
    tmp_path: Path, referrer: str, first: int
) -> None:
    """It is read when its layout is opened, to see what it is, and again when it is copied."""
    made = engine(tmp_path, referrer, range(first, first + len(RETRY_DELAYS)))
    assert made.copy() == ({"app:v1": "copied", "app:v2": "copied"}, set())
    assert is_listed(made, referrer)
    assert [result.referrers for result in made.results if result.tag == "v1"] == [1]


def test_a_referrer_that_can_not_be_read_costs_no_tag(tmp_path: Path, referrer: str) -> None:
    made = engine(tmp_path, referrer, range(2, 99))
    assert made.copy() == ({"app:v1": "copied", "app:v2": "copied"}, {("app", "source_read")})


def test_a_referrer_that_the_target_should_have_is_read_again_too(tmp_path: Path, referrer: str) -> None:
    made = engine(tmp_path, referrer, range(0))
    made.copy()
    made.ledger.forget_tag("app", "v1")
    made.target._repositories["app"].manifests.pop(referrer, None)
    made.wrap = lambda _: Failing(tmp_path, referrer, range(2, 2 + len(RETRY_DELAYS)))
    assert made.copy() == ({"app:v1": "up_to_date", "app:v2": "up_to_date"}, {("app", "referrers_copied")})
    assert is_listed(made, referrer)


def test_a_source_that_is_gone_when_a_referrer_is_read_is_gone_for_all(tmp_path: Path, referrer: str) -> None:
    """A tag without it would look as if the target had all of it."""
    assert engine(tmp_path, referrer, range(1, 99), SourceUnavailableError).copy() == (
        {},
        {("app", "source_unavailable")},
    )
    outcomes, findings = engine(tmp_path, referrer, range(2, 99), SourceUnavailableError).copy()
    assert outcomes["app:v1"] == "source_unavailable"
    assert findings == set()


def test_an_index_that_can_not_be_read_for_the_moment_is_looked_at_again(tmp_path: Path, referrer: str) -> None:
    """The survey comes first, and decides what the run is about."""
    made = engine(tmp_path, INDEX, range(1, 1 + len(RETRY_DELAYS)))
    assert made.copy() == ({"app:v1": "copied", "app:v2": "copied"}, set())


def test_an_index_that_can_not_be_read_is_named(tmp_path: Path, referrer: str) -> None:
    assert engine(tmp_path, INDEX, range(1, 99)).copy() == ({}, {("app", "source_read")})


def test_a_signature_stays_with_its_platform_where_the_index_can_not_be_read_for_the_moment(
    tmp_path: Path, signed: tuple[str, str]
) -> None:
    """That it belongs to what the pattern fits, only the index tells, when its layout is opened."""
    index, signature = signed
    made = engine(tmp_path, index, range(1, 1 + len(RETRY_DELAYS)), include=("app:v*",))
    assert made.copy() == ({"app:v1": "copied", f"app:{signature}": "copied"}, set())


def test_a_signature_that_may_be_left_behind_by_an_index_that_could_not_be_read_is_told(
    tmp_path: Path, signed: tuple[str, str]
) -> None:
    """By the time that it is copied it can be read: nobody else would tell."""
    index, _ = signed
    made = engine(tmp_path, index, range(1, 2 + len(RETRY_DELAYS)), include=("app:v*",))
    assert made.copy() == ({"app:v1": "copied"}, {("app", "source_read")})
