from __future__ import annotations

import itertools

from tasks.oci import errors
from tasks.operations.reports.advice import ADVICE


def error_tree(root: type[errors.LayoutliftError]) -> list[type[errors.LayoutliftError]]:
    return [root, *itertools.chain.from_iterable(error_tree(below) for below in root.__subclasses__())]


def test_every_error_has_advice():
    codes = {error.code for error in error_tree(errors.LayoutliftError) if error.__module__ == errors.__name__}
    others = {
        "tag_collision", "name_collision", "conflict", "conflict_skipped", "referrer_lost", "not_a_layout",
        "outside_source", "unreadable_directory", "link_not_followed", "extra_at_target", "internal_error",
    }  # fmt: skip
    assert sorted((codes | others) - set(ADVICE)) == [], "say what to do in ADVICE of advice.py"
    assert all(advice.endswith(".") for advice in ADVICE.values())


def test_nobody_is_advised_to_push_a_list_over_a_tag_that_names_the_image_itself():
    """Where there is no API, whoever pushes a signature writes the list under that tag."""
    assert "names the image itself, push nothing" in ADVICE["referrer_lost"]


def test_a_wrong_size_in_what_names_a_blob_is_not_mended_by_restoring_the_blob():
    """As messages of verify have it, and none of a blob that was cut off."""
    advice = ADVICE["size_mismatch"]
    assert "how many bytes it has at the target" in advice
    assert advice.endswith("build and push the image anew.")


def test_whoever_brings_a_lost_tag_back_is_told_of_all_that_it_takes():
    """Under a name that recover makes up, the image is there, and its tag counts as taken off."""
    advice = ADVICE["lost_at_source"]
    for named in ("recover --apply", "its own tag before the next run", "--exclude", "layoutlift check"):
        assert named in advice


def test_whoever_takes_a_lost_tag_off_the_target_is_told_to_take_no_other_with_it():
    """Most tools resolve a tag, and delete the manifest with all its tags."""
    advice = ADVICE["lost_at_source"]
    assert "delete that tag alone" in advice
    assert advice.index("--exclude") < advice.index("delete that tag alone")


def test_nobody_is_advised_to_have_oras_write_to_a_layout_that_it_would_take_names_from():
    """Of several entries with one name oras writes back that of the last alone."""
    tagging = {code for code, advice in ADVICE.items() if "oras tag" in advice}
    assert {"digest_only", "no_tags", "signature_without_tag", "tag_of_attached", "untagged_may_go"} <= tagging
    for code in tagging:
        assert "Where entries of index.json share a name" in ADVICE[code]
        assert "oras cp --from-oci-layout LAYOUT@DIGEST TARGET/REPOSITORY:TAG" in ADVICE[code]


def test_what_is_left_of_an_image_that_is_gone_is_not_advised_to_be_mended_alone():
    """Nobody can give a tag back to what is not there."""
    advice = ADVICE["tag_of_attached"]
    assert "Where the image is gone" in advice
    assert "(layoutlift delete SOURCE REPOSITORY@DIGEST)" in advice
