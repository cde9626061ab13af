"""The headings under which `--help` lists the options of commands that have many."""

from __future__ import annotations

from itertools import groupby

import click

from flows.forms.field_order import HEADINGS, LAST, place_of

MOST_WITHOUT = 20
"""How many options a command may have before they need headings: what fits a screen."""

_HEADING = {name: heading for heading, names in HEADINGS.items() for name in names}


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


class HeadedGroup(click.Group):
    """A group of such commands."""

    command_class = HeadedCommand


def _told(error: click.NoSuchOption, own: set[str], ctx: click.Context) -> click.UsageError:
    from flows.commands.other_tools import advice_instead, meant_perhaps  # noqa: PLC0415 - only for a mistake

    name = error.option_name
    if instead := advice_instead(name, own, _words_of(ctx)):
        return click.UsageError(f"No such option {name!r}: {instead}", ctx)
    return click.NoSuchOption(name, possibilities=meant_perhaps(name, own), ctx=ctx)


def _words_of(context: click.Context) -> str:
    """A command as it is typed, as `cleanup plan`, without the program before it."""
    own = context.info_name or ""
    return own if context.parent is None or context.parent.parent is None else f"{_words_of(context.parent)} {own}"


def headed(command: click.Command, context: click.Context) -> list[tuple[str, list[click.Option]]]:
    """The options that a command shows, in their order, each list with its heading."""
    parameters = command.get_params(context)
    shown = [each for each in parameters if isinstance(each, click.Option) and not each.hidden]
    options = sorted(shown, key=lambda each: place_of(str(each.name)))
    if len(options) <= MOST_WITHOUT:
        return [("Options", options)]
    grouped = groupby(options, lambda each: _HEADING.get(str(each.name), LAST))
    return [(heading, list(found)) for heading, found in grouped]
