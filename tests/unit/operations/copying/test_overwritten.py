"""What is said of tags of others that are overwritten is said once."""

from tasks.oci.digest import Digest
from tasks.operations.copying.overwritten import Overwritten
from tasks.operations.work.planning import CopyPolicy, TagAction, TagPlan

LOSS = TagPlan(TagAction.OVERWRITE, seen=Digest.of(b"theirs"), is_theirs=True)


def test_a_tag_whose_first_push_had_no_answer_is_named_once_however_often_it_is_looked_at() -> None:
    overwritten = Overwritten("app", "registry.example/app", CopyPolicy())
    overwritten.note_unanswered("v1", LOSS)
    overwritten.note("v1", LOSS)
    overwritten.note_there("v1")
    overwritten.note_there("v2")
    assert [finding.code for finding in overwritten.findings] == ["tag_overwritten"]
