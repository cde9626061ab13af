"""The headings under which `--help` lists the options of commands that have many."""

from __future__ import annotations

from itertools import groupby

import click

LAST = "And besides"
HEADINGS = {
    "What to measure": (
        *("quick", "paths", "without", "paths_file", "path_bucket", "path_mount", "mount_option", "registry"),
        *("sizes", "multis", "content", "repeats", "pause", "keep_page_cache", "uncounted"),
    ),
    "What to take": (
        *("changed", "include", "exclude", "tags_from", "newest", "order_by"),
        *("untagged", "exclude_referrers"),
    ),
    "Names at the target": ("split_by_name", "rename", "flatten", "strict_names"),
    "What the target has already": (
        *("on_conflict", "backup_tag", "since_last"),
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
MOST_WITHOUT = 20
"""How many options a command may have before they need headings: what fits a screen."""

_HEADING = {name: heading for heading, names in HEADINGS.items() for name in names}
_ORDER = {name: place for place, name in enumerate(_HEADING)}


class HeadedCommand(click.Command):
    """A command that lists its options by what they are about, under headings where there are many."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, but say of an option of another tool what to do here instead."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise _told(error, {name for each in self.params for name in each.opts}, ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write them, in place of click's one list in the order of their declaration."""
        for heading, options in headed(self, ctx):
            with formatter.section(heading):
                formatter.write_dl([record for each in options if (record := each.get_help_record(ctx))])


def _told(error: click.NoSuchOption, own: set[str], ctx: click.Context) -> click.UsageError:
    from flows.commands.other_tools import advice_instead, meant_perhaps  # noqa: PLC0415 - only for a mistake

    name = error.option_name
    command = [*ctx.command_path.split(), ""][1]
    if instead := advice_instead(name, own, command):
        return click.UsageError(f"No such option {name!r}: {instead}", ctx)
    return click.NoSuchOption(name, possibilities=meant_perhaps(name, own), ctx=ctx)


def headed(command: click.Command, context: click.Context) -> list[tuple[str, list[click.Option]]]:
    """The options that a command shows, in their order, each list with its heading."""
    parameters = command.get_params(context)
    shown = [each for each in parameters if isinstance(each, click.Option) and not each.hidden]
    options = sorted(shown, key=lambda each: _ORDER.get(str(each.name), len(_ORDER)))
    if len(options) <= MOST_WITHOUT:
        return [("Options", options)]
    grouped = groupby(options, lambda each: _HEADING.get(str(each.name), LAST))
    return [(heading, list(found)) for heading, found in grouped]
