"""What somebody names is what its writer meant by it, and what keeps it is said."""

import pytest

from flows.course.deleting import Named
from tasks.oci.digest import Digest
from tasks.oci.errors import RefusedError
from tasks.operations.cleanup.values import CleanupAction, RepositoryPlan, TagDecision

DIGEST = Digest.of(b"image")


@pytest.mark.parametrize(
    ("written", "means"),
    [("1.25", None), ("docker.io/library/nginx:1.25", None), (f"1.25@{DIGEST}", "1.25")],
    ids=["a bare tag", "a whole reference", "a tag with a digest behind it"],
)
def test_why_a_tag_stays_is_said_however_its_writer_names_it(written: str, means: str | None) -> None:
    kept = TagDecision(written, DIGEST, CleanupAction.KEEP, "the target does not have it", means)
    plan, named = RepositoryPlan("app", "", (kept,)), Named("app", "1.25")
    assert named.may_be_in(plan)
    with pytest.raises(RefusedError, match="stays: the target does not have it"):
        named.check_found(plan)
    assert not Named("app").may_be_in(plan)
