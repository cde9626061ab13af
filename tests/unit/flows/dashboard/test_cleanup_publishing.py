"""What the dashboard says of a cleanup that was applied."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from flows.dashboard import cleanup_publishing
from flows.dashboard.cleanup_publishing import SHOWN, Applied
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError
from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.values import IndexEntry
from tasks.ports import Finding
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


def test_a_repository_of_which_all_was_left_has_not_changed_and_is_shown(published: list[str]) -> None:
    Applied().show("r1", [RepositoryOutcome("a", marked=1), RepositoryOutcome("b", skipped=[ENTRY])])
    (text,) = published
    assert text.startswith("# 1 repository changed, ")
    assert "1 entry left, changed since the plan" in text.splitlines()[-1]


def test_what_a_table_does_not_show_is_counted(published: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[tuple[int, str]] = []
    monkeypatch.setattr(
        cleanup_publishing,
        "create_table_artifact",
        lambda rows, *, description, **_: tables.append((len(rows), description)),
    )
    odd = Finding("a", "digest_mismatch", "altered")
    for more in (0, 1):
        outcomes = [RepositoryOutcome(f"a{n}", marked=1, problems=[odd]) for n in range(SHOWN + more)]
        Applied().show("r1", outcomes)
    assert [("more" in text.splitlines()[-1]) for text in published] == [False, True]
    assert published[-1].splitlines()[-1] == "and 1 more, in the log of this run"
    assert tables == [
        (SHOWN, "What is wrong, and what to do"),
        (SHOWN, f"What is wrong, and what to do; the first {SHOWN} of {SHOWN + 1}"),
    ]
