"""The order in which people see fields: in `--help` under headings, and in the dashboard's forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LAST = "And besides"
HEADINGS = {
    "What to measure": (
        *("quick", "paths", "without", "paths_file", "path_bucket", "path_mount", "mount_option", "registry"),
        *("sizes", "multis", "content", "repeats", "pause", "keep_page_cache", "uncounted"),
    ),
    "What to do": (
        *("policy", "gate", "source", "keep_referrers", "marked", "applies", "i_am_the_only_writer"),
        *("max_tags", "max_percent", "min_tags_left", "max_bytes"),
    ),
    "What to take": (
        *("changed", "include", "exclude", "tags_from", "newest", "order_by"),
        *("newer_than", "older_than"),
        *("untagged", "exclude_referrers", "split_by_name"),
    ),
    "Names at the target": ("rename", "flatten", "strict_names"),
    "What the target has already": (
        *("on_conflict", "backup_tag", "since_last", "prove_again"),
        *("delete_vanished", "delete_max_tags", "delete_max_percent"),
    ),
    "How to go about it": ("dry_run", "config", "standalone", "depth", "content_part", "fail_fast", "lock_timeout"),
    "Before the cut-over": ("frozen_for", "way_back", "old_reference", "output"),
    "Access to the source": ("endpoint_url", "no_sign_request", "request_payer"),
    "Access to the target": ("username", "password_stdin", "plain_http", "ca_file", "registry_kind"),
    "New repositories": ("create_repositories", "immutable_tags", "scan_on_push"),
    "Pace": ("jobs", "max_requests", "limit_rate", "hours", "limits_from"),
    "More processes": ("shards", "shard_deployment", "task_runner", "dask_scheduler"),
    "Results": ("report", "as_json", "metrics", "traces", "out", "dat_file", "resume", "allowed_loss"),
    LAST: ("state", "source_name", "debug"),
}
"""Headings in the order of `--help`, each with its options in theirs; any other comes at the end, as --help does."""
_FIRST = (
    *("location", "source", "target", "policy", "gate", "auto_apply", "approval_within"),
    *("i_am_the_only_writer", "max_tags", "max_percent", "min_tags_left", "max_bytes"),
    *("endpoint_url", "request_payer", "no_sign_request"),
)
"""What a form begins with: what a command has as arguments, or has for itself."""

_PLACE = {name: place for place, name in enumerate(name for names in HEADINGS.values() for name in names)}


def place_of(name: str) -> int:
    """Where an option stands among those of `--help`."""
    return _PLACE.get(name, len(_PLACE))


def form_order(names: Iterable[str]) -> list[str]:
    """Fields as a form shows them; those of no heading stay in their order."""
    first = {name: place for place, name in enumerate(_FIRST)}
    return sorted(names, key=lambda name: (first.get(name, len(first)), place_of(name)))
