"""What the dashboard says of a cleanup that was applied."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from flows.dashboard import cleanup_publishing
from flows.dashboard.cleanup_publishing import Applied
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError
from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.values import IndexEntry
from tests.support.layouts import OCI_MANIFEST

UNDO = "To put back what it took: `layoutlift cleanup undo r1`"
ENTRY = IndexEntry("v1", Descriptor(OCI_MANIFEST, Digest.of(b"an image"), 8))


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []

    def keep(text: str, **_: Any) -> None:
        texts.append(text)

    monkeypatch.setattr(cleanup_publishing, "create_markdown_artifact", keep)
    return texts


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([RepositoryOutcome("a", removed=[ENTRY]), RepositoryOutcome("b", marked=1)], UNDO),
        ([RepositoryOutcome("a", hidden=1)], UNDO),
        ([RepositoryOutcome("a", marked=1, purged=2)], "Run r1 took nothing that can be put back."),
    ],
)
def test_an_undo_is_named_where_something_could_come_back(
    published: list[str], outcomes: Iterable[RepositoryOutcome], said: str
) -> None:
    Applied().show("r1", outcomes)
    (text,) = published
    assert text.splitlines()[2] == said


def test_an_undo_is_named_of_a_run_that_ended_in_the_middle_of_a_repository(published: list[str]) -> None:
    def outcomes() -> Iterator[RepositoryOutcome]:
        yield RepositoryOutcome("a", marked=1)
        raise InterruptedRunError("now")

    with pytest.raises(InterruptedRunError):
        Applied().show("r1", outcomes())
    (text,) = published
    assert text.splitlines()[2] == UNDO
