"""Puts the blocks that SOURCE and TARGET name in their place, in the process of the flow and nowhere else.

What a block keeps secret goes on to the engine by value: into no parameter, environment, record or message.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import httpx
from prefect import get_client
from prefect.exceptions import ObjectNotFound
from pydantic import ValidationError

from flows.dashboard.block_types import LayoutSource, RegistryTarget
from flows.files.mistakes import in_one_line
from flows.forms.block_names import block_name
from tasks.cleanup_plans import Logins
from tasks.oci.errors import ConfigurationError
from tasks.oci.registry_profiles import RegistryKind
from tasks.stores.bucket.s3_address import BucketAccess

if TYPE_CHECKING:
    from prefect.blocks.core import Block

    from flows.forms.cleanup_parameters import CleanupParameters
    from tasks.endpoints import TargetOptions
    from tasks.run_options import RunOptions

_Block = TypeVar("_Block", LayoutSource, RegistryTarget)


def resolved(options: RunOptions) -> RunOptions:
    """The options of a run with places in place of blocks.

    Raises:
        ConfigurationError: a block is missing, is of the wrong type, or holds what can't be used.
    """
    source, access = resolved_source(options.source, options.bucket_access)
    return replace(
        options,
        source=source,
        endpoint_url=access.endpoint_url,
        request_payer=access.request_payer,
        bucket_login=access.login,
        target=None if options.target is None else resolved_target(options.target),
    )


def resolved_cleanup(given: CleanupParameters) -> tuple[CleanupParameters, Logins]:
    """The parameters of a cleanup with places in place of blocks, and what the blocks keep secret.

    Raises:
        ConfigurationError: as for `resolved`.
    """
    source, access = resolved_source(given.source, BucketAccess(given.endpoint_url, given.request_payer))
    places = {"source": source, "endpoint_url": access.endpoint_url, "request_payer": access.request_payer}
    if (named := given.to_gate(given.gate)) is None:
        return given.model_copy(update=places), Logins(access.login)
    gate = resolved_target(named)
    places |= {"gate": gate.target, "plain_http": gate.plain_http, "ca_file": gate.ca_file}
    return given.model_copy(update=places), Logins(access.login, gate.credentials)


def resolved_source(source: str, access: BucketAccess) -> tuple[str, BucketAccess]:
    """A source and how to get at it; what a parameter says wins over its block.

    Raises:
        ConfigurationError: as for `resolved`, or the two exclude each other.
    """
    name = block_name(source)
    if name is None:
        return source, access
    block = _load(LayoutSource, name, "SOURCE")
    if access.anonymous and block.request_payer:
        raise ConfigurationError(
            f"SOURCE: by the block {name} the requester pays, and who pays has to sign: leave out no_sign_request"
        )
    return block.source, replace(
        access,
        endpoint_url=access.endpoint_url or block.endpoint_url or None,
        request_payer=access.request_payer or block.request_payer,
        login=block.login,
    )


def resolved_target(target: TargetOptions) -> TargetOptions:
    """A target and how to talk to it; what a parameter says wins over its block.

    Raises:
        ConfigurationError: as for `resolved`.
    """
    name = block_name(target.target)
    if name is None:
        return target
    block = _load(RegistryTarget, name, "TARGET")
    return replace(
        target,
        target=block.registry,
        plain_http=target.plain_http or block.plain_http,
        ca_file=target.ca_file or block.ca_file or None,
        kind=block.registry_kind if target.kind is RegistryKind.AUTO else target.kind,
        credentials=block.credentials,
    )


def _load(kind: type[_Block], name: str, field: str) -> _Block:
    """The block of a name; errors carry none of what it holds.

    `Block.load` would warn of fields that a block from an older version has too many, and name their values.
    """
    slug = kind.get_block_type_slug()
    try:
        with get_client(sync_client=True) as client:
            held = client.read_block_document_by_name(name, slug).data
    except ObjectNotFound:
        raise ConfigurationError(f"{field}: {_missing(kind, name)}") from None
    except httpx.HTTPError as error:
        raise ConfigurationError(
            f"{field}: the block {name} can't be read from the Prefect server: {type(error).__name__}"
        ) from None
    try:
        return kind.model_validate(held)
    except ValidationError as error:
        wrong = in_one_line(error, "the block")
        raise ConfigurationError(f"{field}: the block {slug}/{name} can't be used: {wrong}") from None


def _missing(kind: type[Block], name: str) -> str:
    other = LayoutSource if kind is RegistryTarget else RegistryTarget
    wanted = kind.get_block_type_slug()
    try:
        with get_client(sync_client=True) as client:
            client.read_block_document_by_name(name, other.get_block_type_slug(), include_secrets=False)
    except (ObjectNotFound, httpx.HTTPError):
        return f"the Prefect server has no block {wanted}/{name}; make it in the dashboard, under Blocks"
    return f"the block {name} is a {other.get_block_type_slug()}, and a {wanted} is needed here"
