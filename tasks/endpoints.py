"""Turns SOURCE and TARGET strings into stores. No Prefect."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError, InvalidReferenceError
from tasks.oci.reference import TargetAddress
from tasks.stores.layout_directory import LayoutDirectory
from tasks.stores.pacing import RequestGate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.ports import Source
    from tasks.stores.credentials import Credentials
    from tasks.stores.pacing import Stop
    from tasks.stores.registry import RegistryStore


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """How to talk to a target; no secret among them."""

    target: str
    plain_http: bool = False
    ca_file: str | None = None
    jobs: int = 8
    max_requests: float | None = None


def open_source(source: str) -> Source:
    """The store of a SOURCE argument.

    Raises:
        ConfigurationError: it names no kind of source that can be read.
    """
    if "://" in source:
        raise ConfigurationError(
            f"{source.partition('://')[0]}:// is no source; mount the bucket and name its directory"
        )
    if not Path(source).is_dir():
        raise ConfigurationError(f"the source {source} is not a directory; is the bucket mounted there?")
    return LayoutDirectory(source)


def own_name(source: str) -> str:
    """What a layout that is itself the source is called."""
    return Path(os.path.realpath(source)).name


def parse_target(target: str) -> TargetAddress:
    """The address of a TARGET argument.

    Raises:
        ConfigurationError: it is not of the form host[:port][/prefix].
    """
    try:
        return TargetAddress.parse(target)
    except InvalidReferenceError as error:
        raise ConfigurationError(f"TARGET: {error}") from error


@contextmanager
def open_target(options: TargetOptions, stop: Stop, *, write: bool) -> Iterator[RegistryStore]:
    """The registry of a TARGET argument, after it let us in.

    Raises:
        ConfigurationError: the address or a file that it needs is unusable.
        AuthenticationError: it refuses the credentials.
        TransportError: it does not answer.
    """
    from tasks.stores.credentials import find_credentials  # noqa: PLC0415 - `ls` needs nothing of the network
    from tasks.stores.http_pool import HttpPool, HttpSettings  # noqa: PLC0415
    from tasks.stores.oras_provider import OrasProvider  # noqa: PLC0415
    from tasks.stores.registry import RegistryStore  # noqa: PLC0415
    from tasks.stores.registry_auth import Authorizer  # noqa: PLC0415
    from tasks.stores.request_retry import RequestRetry  # noqa: PLC0415

    address = parse_target(options.target)
    gate = RequestGate(stop, options.max_requests)
    settings = HttpSettings(options.plain_http, options.ca_file, connections=options.jobs)
    pool = HttpPool(address.host, settings, gate)

    def find() -> Credentials | None:
        return find_credentials(address.host, address.prefix, os.environ)

    provider = OrasProvider(address.host, pool, Authorizer(pool.origin, find, pool.send))
    store = RegistryStore(provider, pool, RequestRetry(gate, stop), write=write)
    try:
        store.check_access()
        yield store
    finally:
        store.close()
