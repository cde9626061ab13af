"""What is printed of a cleanup that was applied."""

import pytest

from flows.terminal.cleanup_outcome_output import print_outcomes
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.values import IndexEntry
from tasks.operations.reports.advice import ADVICE
from tasks.ports import Finding
from tests.support.layouts import OCI_MANIFEST


def test_what_was_skipped_is_named_and_why_in_a_column_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    entry = IndexEntry("v\x1b1", Descriptor(OCI_MANIFEST, Digest.of(b"an image"), 8))
    print_outcomes("1", [RepositoryOutcome("team/app", skipped=[entry])], as_json=False)
    assert capsys.readouterr().out.splitlines()[0] == "skip   team/app:v\\x1b1\tit was changed since the plan"


def test_what_to_do_is_said_once_of_each_kind_of_problem(capsys: pytest.CaptureFixture[str]) -> None:
    failed = [Finding("app", "source_write", "no room"), Finding("app", "source_changed", "another one")]
    outcomes = [RepositoryOutcome("app", problems=failed), RepositoryOutcome("web", problems=failed[:1])]
    assert not print_outcomes("1", outcomes, as_json=False)
    advice = [f"    {finding.code}: {ADVICE[finding.code]}" for finding in failed]
    assert capsys.readouterr().err.splitlines()[3:] == advice


@pytest.mark.parametrize(("problems", "run"), [([], "the-undo"), ([Finding("app", "source_read", "away")], "undone")])
def test_an_undo_that_did_not_bring_all_back_is_to_be_done_again_and_not_undone(
    problems: list[Finding], run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [RepositoryOutcome("app", restored=["blob"], problems=problems)]
    print_outcomes("the-undo", outcomes, as_json=False, undone="undone")
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"layoutlift cleanup undo {run}")
