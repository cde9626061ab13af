"""The commands `layoutlift zot …`: zot pointed at the source itself, instead of a migration."""

from __future__ import annotations

import json
from typing import Any

import click

from flows.commands.headings import HeadedGroup
from flows.commands.options import with_parameters
from flows.commands.running import checked, run_to_end
from flows.forms.parameters import InPlaceParameters
from flows.forms.source_parameters import SourceParameters
from tasks.run_options import RunKind
from tasks.stores.source_checks import check_source


@click.group(cls=HeadedGroup, short_help="Say what a zot over SOURCE itself would serve and change")
def zot() -> None:
    """Serve SOURCE in place by zot: what would work, and a configuration that harms nothing."""


@zot.command(short_help="Say what a zot would serve, and change by its defaults")
@with_parameters(InPlaceParameters)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON")
def check(**given: Any) -> None:
    """Say which tags of SOURCE a zot would serve in place, and what its default settings would change."""
    run_to_end(RunKind.ZOT, InPlaceParameters, given, standalone=True)


@zot.command(short_help="Print a configuration for zot that deletes nothing")
@with_parameters(SourceParameters)
def config(**given: Any) -> None:
    """Print a configuration for `zot serve` under which it serves SOURCE and deletes nothing of it."""
    from tasks.operations.zot.zot_configuration import zot_configuration  # noqa: PLC0415 - not for --help
    from tasks.stores.bucket.s3_address import BucketAccess  # noqa: PLC0415
    from tasks.stores.zot_storage import served_prefix, zot_storage  # noqa: PLC0415

    parameters = checked(SourceParameters, given)
    check_source(parameters.source)
    access = BucketAccess(parameters.endpoint_url, parameters.request_payer)
    storage = zot_storage(parameters.source, access)
    click.echo(json.dumps(zot_configuration(storage, served_prefix(parameters.source)), indent=2))
