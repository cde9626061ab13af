"""Repositories are made only where somebody asked for that, and nothing is sent where a push has no place to go."""

from dataclasses import replace

import pytest

from tasks.oci.codes import Refused, Remark
from tasks.operations.copying.repository_preparation import Preparation
from tasks.registry_ports import MADE_BY_A_PUSH, NewRepositories, RepositoryState

NEW = NewRepositories(immutable_tags=True)


class Keeper:
    """Keeps the repository `there`, whose tags do not move, and makes what is `by-push` at the first push."""

    def __init__(self) -> None:
        self.made: list[tuple[str, NewRepositories]] = []

    def state(self, repository: str) -> RepositoryState:
        state = RepositoryState(exists=repository == "there", immutable_tags=True)
        return replace(state, comes_by_push=repository == "by-push")

    def create(self, repository: str, settings: NewRepositories) -> None:
        self.made.append((repository, settings))


def codes(made: Preparation, repository: str) -> tuple[str | None, list[str]]:
    """Why a push would fail, and what a plan says would be made."""
    refusal = made.refusal(repository)
    return refusal.code if refusal else None, [finding.code for finding in made.announce("app", repository)]


@pytest.mark.parametrize("new", [None, NEW], ids=["none is made", "missing ones are made"])
def test_a_repository_that_is_missing_is_made_or_refused(new: NewRepositories | None) -> None:
    keeper = Keeper()
    made = Preparation(keeper, new)
    assert codes(made, "there") == (None, [])
    assert codes(made, "missing") == ((None, [Remark.TO_CREATE]) if new else (Refused.REPOSITORY_MISSING, []))
    assert keeper.made == [], "who only looks makes nothing"
    for repository in ("there", "missing"):
        made.prepare(repository)
    assert keeper.made == ([("missing", NEW)] if new else [])
    assert made.state("there").immutable_tags


@pytest.mark.parametrize("new", [None, NEW], ids=["by the push", "by us, as we were told"])
def test_a_repository_that_a_push_makes_is_announced_and_never_refused(new: NewRepositories | None) -> None:
    keeper = Keeper()
    made = Preparation(keeper, new)
    assert codes(made, "by-push") == (None, [Remark.TO_CREATE])
    (announced,) = made.announce("app", "by-push")
    assert ("by the push" in announced.message) == (new is None)
    made.prepare("by-push")
    assert keeper.made == ([("by-push", NEW)] if new else [])


def test_without_a_keeper_a_push_makes_what_it_needs() -> None:
    made = Preparation(None, NEW)
    made.prepare("missing")
    assert codes(made, "missing") == (None, [])
    assert made.state("missing") is MADE_BY_A_PUSH
