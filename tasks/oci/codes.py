"""The codes that a report uses besides those of errors, which are in `tasks.oci.errors`.

`tasks.operations.reports.advice` says for each code what to do about it.
"""

from __future__ import annotations

from enum import StrEnum


class Remark(StrEnum):
    """Of a finding that is worth a line in the report and no more: a run with such findings alone is complete."""

    # at the source
    NOT_A_LAYOUT = "not_a_layout"
    NOT_A_MANIFEST = "not_a_manifest"
    EMPTY_FOLDER = "empty_folder"
    LINK_NOT_FOLLOWED = "link_not_followed"
    INDEX_CHANGED = "index_changed"
    SEVERAL_IMAGES = "several_images"
    SIGNATURE_WITHOUT_TAG = "signature_without_tag"
    NO_TAGS = "no_tags"
    EMPTY_INDEX = "empty_index"
    REFERRERS_LEFT = "referrers_left"
    ARCHIVED = "archived"
    # what was asked for
    NOT_ORDERED = "not_ordered"
    NOT_DATED = "not_dated"
    TOO_NEW = "too_new"
    NONE_OF_AGE = "none_of_age"
    RENAME_UNUSED = "rename_unused"
    INCLUDE_UNUSED = "include_unused"
    EXCLUDE_UNUSED = "exclude_unused"
    POLICY_UNUSED = "policy_unused"
    # cleanups
    MARKED_LEFT_OUT = "marked_left_out"
    # since an earlier run
    TAG_MOVED = "tag_moved"
    TAG_VANISHED = "tag_vanished"
    LAYOUT_VANISHED = "layout_vanished"
    # at the target
    TO_CREATE = "to_create"
    REFERRERS_TO_COPY = "referrers_to_copy"
    REFERRERS_COPIED = "referrers_copied"
    NEW_MAY_BE_PUBLIC = "new_may_be_public"
    UNTAGGED_MAY_GO = "untagged_may_go"
    TO_OVERWRITE = "to_overwrite"
    TAG_OVERWRITTEN = "tag_overwritten"
    TO_DELETE = "to_delete"
    TAG_DELETED = "tag_deleted"
    TAG_KEPT = "tag_kept"
    NOT_DELETED = "not_deleted"
    EXTRA_AT_TARGET = "extra_at_target"
    TAGS_NOT_LISTED = "tags_not_listed"
    # a zot in place
    CHANGED_BY_DEFAULTS = "changed_by_defaults"
    NOT_IN_CATALOG = "not_in_catalog"
    # the run itself
    SHARD_RESTARTED = "shard_restarted"


class Refused(StrEnum):
    """Said of a tag that is not taken, though it can be read."""

    CONFLICT = "conflict"
    CONFLICT_SKIPPED = "conflict_skipped"
    """The user said so: no problem."""
    REPOSITORY_MISSING = "repository_missing"
    UNSUPPORTED_DIGEST = "unsupported_digest"


class Problem(StrEnum):
    """Of a finding that keeps a run from being complete; some of these are said of a tag, too."""

    # at the source
    NO_LAYOUTS = "no_layouts"
    UNREADABLE_DIRECTORY = "unreadable_directory"
    UNREADABLE_ENTRY = "unreadable_entry"
    """Not even what it is can be told."""
    UNUSABLE_KEY = "unusable_key"
    LAYOUT_HIDDEN = "layout_hidden"
    LOST_AT_SOURCE = "lost_at_source"
    TAG_COLLISION = "tag_collision"
    TAG_OF_ATTACHED = "tag_of_attached"
    """What is attached to an image has the name that is the image's."""
    # what was asked for
    NOTHING_CHOSEN = "nothing_chosen"
    MISSING_AT_SOURCE = "missing_at_source"
    # a zot in place
    NOT_SERVED = "not_served"
    # cleanups
    LOST_MANIFEST = "lost_manifest"
    PROTECTED_IS_HIDDEN = "protected_is_hidden"
    TAG_TAKEN = "tag_taken"
    # the run itself
    INTERNAL_ERROR = "internal_error"
