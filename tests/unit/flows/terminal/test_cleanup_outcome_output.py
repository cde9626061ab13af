"""What is printed of a cleanup that was applied."""

import pytest

from flows.terminal.cleanup_outcome_output import print_outcomes
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.values import IndexEntry
from tests.support.layouts import OCI_MANIFEST


def test_what_was_skipped_is_named_and_why_in_a_column_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    entry = IndexEntry("v\x1b1", Descriptor(OCI_MANIFEST, Digest.of(b"an image"), 8))
    print_outcomes("1", [RepositoryOutcome("team/app", skipped=[entry])], as_json=False)
    assert capsys.readouterr().out.splitlines()[0] == "skip   team/app:v\\x1b1\tit was changed since the plan"
