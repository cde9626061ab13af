"""Turns SOURCE and TARGET strings into stores. No Prefect."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError, InvalidReferenceError, SourceUnavailableError, StateError
from tasks.oci.reference import TargetAddress
from tasks.oci.registry_profiles import RegistryKind, profile_of
from tasks.operations.source.split_source import SplitSource
from tasks.patience import patience_with_source, patience_with_target
from tasks.stop import Stop
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress, is_bucket
from tasks.stores.directory import mounts
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.directory.watched_layouts import WatchedLayouts
from tasks.stores.directory.watched_process import WatchedProcess
from tasks.stores.pacing import RequestGate
from tasks.stores.source_checks import check_source, no_directory, refuse_directory_bucket
from tasks.stores.state.state_directory import StateDirectory, default_state_root

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import AbstractContextManager

    from tasks.ports import Source
    from tasks.registry_ports import NewRepositories
    from tasks.stores.bucket.layout_bucket import LayoutBucket
    from tasks.stores.registry.credentials import Credentials
    from tasks.stores.registry.ecr import EcrRegistry
    from tasks.stores.registry.registry_store import RegistryStore
    from tasks.stores.registry.transport.http_pool import HttpPool
    from tasks.stores.state.run_state import RunState

LOOK_SECONDS, GRACE_SECONDS = 0.25, 3.0
"""How soon a stop is noticed, and how long requests that are under way then may take."""


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """How to talk to a target; `credentials`, never shown, come before those that are found."""

    target: str
    plain_http: bool = False
    ca_file: str | None = None
    jobs: int = 8
    max_requests: float | None = None
    kind: RegistryKind = RegistryKind.AUTO
    new_repositories: NewRepositories | None = None
    credentials: Credentials | None = field(default=None, repr=False)


def open_source(
    source: str,
    stop: Stop | None = None,
    access: BucketAccess | None = None,
    *,
    by_name: bool = False,
    layouts: Collection[str] = (),
) -> Source:
    """The store of a SOURCE argument; `close_source` lets go of it.

    `access` matters to buckets alone, and waits for a source end with `stop`. With `by_name`, a layout is as many
    repositories as its references name, and `layouts` are all that are looked at, if there are any.

    Raises:
        ConfigurationError: it names no kind of source that can be read, or the names in it can't be told.
    """
    stop = stop or Stop()
    store = open_whole(source, stop, access or BucketAccess())
    return SplitSource(store, stop, layouts=layouts) if by_name else store


def open_whole(source: str, stop: Stop, access: BucketAccess) -> WatchedLayouts | LayoutDirectory | LayoutBucket:
    """A source as it is, which has its files as well; `close_source` lets go of it.

    Raises:
        ConfigurationError: it names no kind of source that can be read, or the names in it can't be told.
    """
    check_source(source)
    if is_bucket(source):
        return _open_bucket(BucketAddress.parse(source), access, stop)
    path, may_hang = mounts.resolve(source)
    if not may_hang:
        return LayoutDirectory(source, pause=stop.pause)
    store = WatchedLayouts(WatchedProcess(path, patience_with_source(), stop))
    if reason := _looked_at(store):
        raise no_directory(source, reason)
    return store


def _open_bucket(address: BucketAddress, access: BucketAccess, stop: Stop) -> LayoutBucket:
    from tasks.stores.bucket.layout_bucket import LayoutBucket  # noqa: PLC0415 - directories don't wait for the SDK
    from tasks.stores.bucket.s3_client import make_client  # noqa: PLC0415
    from tasks.stores.bucket.s3_versions import VersionedS3Bucket  # noqa: PLC0415

    bucket = VersionedS3Bucket(make_client(access), address.bucket, access, below=address.prefix, stop=stop)
    return LayoutBucket(bucket, address)


def _looked_at(store: WatchedLayouts) -> int:
    try:
        return store.look()
    except SourceUnavailableError:
        return 0  # the run meets it again at once, and then it stands in a report


def close_source(source: Source) -> None:
    """Let go of a source, whatever state it is in."""
    whole = source.whole if isinstance(source, SplitSource) else source
    if isinstance(whole, WatchedLayouts):
        whole.process.close()


def let_in(source: str) -> AbstractContextManager[None]:
    """Have what keeps us out of a source count as a wrong configuration, as long as nothing was done.

    Raises:
        ConfigurationError: its bucket does not let us in, or not to this.
    """
    if not is_bucket(source):
        return nullcontext()
    from tasks.stores.bucket.s3_errors import let_in as let_into_bucket  # noqa: PLC0415 - not for directories

    return let_into_bucket()


def own_name(source: str) -> str:
    """What a layout that is itself the source is called."""
    if is_bucket(source):
        return BucketAddress.parse(source).name
    return Path(mounts.resolve(source)[0]).name


def real_path(source: str) -> str | None:
    """Where a directory is, whatever the current one is and wherever links lead; None of a bucket.

    Raises:
        ConfigurationError: it begins at the working folder, which is gone.
    """
    return None if is_bucket(source) else mounts.resolve(source)[0]


def source_identity(source: str, access: BucketAccess, *, name: str | None = None, by_name: bool = False) -> str:
    """What names a source whatever the current directory is; a bucket of another store is another one.

    A `name` that its user gave stands for all of that. A source that is split is another one, too: what is known of
    its repositories would be wrong of its layouts.

    Raises:
        ConfigurationError: the settings for S3 can't be used.
    """
    split = " by name" if by_name else ""
    if name is not None:
        return f"{name}{split}"
    if not is_bucket(source):
        return f"{mounts.resolve(source)[0]}{split}"
    address, endpoint = BucketAddress.parse(source), endpoint_of(source, access)
    return f"{address}{'' if endpoint is None else ' at ' + endpoint.rstrip('/')}{split}"


def endpoint_of(source: str, access: BucketAccess) -> str | None:
    """Where a bucket is asked for, whatever names that; None where nothing does, and of a directory.

    Raises:
        ConfigurationError: the settings for S3 can't be used.
    """
    if not is_bucket(source):
        return None
    from tasks.stores.bucket.s3_client import chosen_endpoint  # noqa: PLC0415 - directories don't wait for the SDK

    return chosen_endpoint(access)


def open_state(where: str | None, source: str, target: str, access: BucketAccess, stop: Stop) -> RunState:
    """The state of a pair: in the folder or bucket that --state names, else in the user's own folder for state.

    One registry is one target, in whatever letters its host is written: a lock is to keep out who means the same.

    Raises:
        ConfigurationError: it names something else.
    """
    target = target.lower()  # a prefix has no capitals
    if where is not None and is_bucket(where):
        refuse_directory_bucket(where, "--state", "hold a state", "name a folder, or a bucket of another kind")
        from tasks.stores.state.state_bucket import StateBucket  # noqa: PLC0415 - folders don't wait for the SDK

        return StateBucket(BucketAddress.parse(where), access.signed, source, target, stop)
    if where is not None and "://" in where:
        raise ConfigurationError(f"--state {where.partition('://')[0]}://…: state is kept in a folder or s3://bucket")
    if where is not None and os.path.isfile(where):  # noqa: PTH113 - Path.is_file lets some errors through
        raise ConfigurationError(f"--state {where}: it is a file; state is kept in a folder or s3://bucket")
    return StateDirectory(Path(where) if where else default_state_root(os.environ), source, target, stop)


@contextmanager
def blamed_on(option: str, given: str | None) -> Iterator[None]:
    """Have what can't be written in the block, before a run has done anything, count as a wrong `option`.

    Where nobody has `given` that, which --state needs not be, it is the user's own folder for state.

    Raises:
        ConfigurationError: it can't be written or read.
    """
    try:
        yield
    except StateError as error:
        if given:
            raise ConfigurationError(f"{option}: {error}") from error
        raise ConfigurationError(
            f"{error}; name a folder that this user may write with {option}, or set XDG_STATE_HOME"
        ) from error


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
def open_target(
    options: TargetOptions, stop: Stop, *, write: bool, gate: RequestGate | None = None
) -> Iterator[RegistryStore]:
    """The registry of a TARGET argument, after it let us in; `gate` is what its requests pass, else one of its own.

    From then on it is waited for where it goes away.

    Raises:
        ConfigurationError: the address, a file or a variable that it needs is unusable.
        AuthenticationError: it refuses the credentials.
        TransportError: it does not answer.
    """
    from tasks.stores.registry.credentials import find_credentials  # noqa: PLC0415 - `ls` needs nothing of the network
    from tasks.stores.registry.harbor import HarborProjects  # noqa: PLC0415
    from tasks.stores.registry.oras_provider import OrasProvider  # noqa: PLC0415
    from tasks.stores.registry.registry_auth import Authorizer  # noqa: PLC0415
    from tasks.stores.registry.registry_store import RegistryStore  # noqa: PLC0415
    from tasks.stores.registry.request_retry import RequestRetry  # noqa: PLC0415
    from tasks.stores.registry.transport.http_pool import HttpPool, HttpSettings  # noqa: PLC0415

    address, longest_away = parse_target(options.target), patience_with_target()
    profile = profile_of(options.kind, address.host)
    gate = gate or RequestGate(stop, options.max_requests)
    settings = HttpSettings(options.plain_http, options.ca_file, connections=options.jobs, environment=os.environ)
    pool = HttpPool(profile.asked_at(address.host), settings, gate)
    retry = RequestRetry(gate, stop)
    ecr = _open_ecr(address.host) if profile.kind is RegistryKind.ECR else None
    grant = {} if ecr is None else {"grant": ecr.credentials}
    find = partial(find_credentials, address.host, address.prefix, os.environ, given=options.credentials, **grant)
    authorizer = Authorizer(pool.origin, find, pool.send)
    provider = OrasProvider(address.host, pool, authorizer)
    store = RegistryStore(provider, pool, retry, write=write, profile=profile)
    store.keeper = ecr
    try:
        with _broken_after(stop, pool):
            store.check_access()
            retry.wait_for(store.knock, longest_away)
            if store.profile.kind is RegistryKind.HARBOR:
                store.keeper = HarborProjects(pool, retry, authorizer.credentials.get)
            yield store
    finally:
        store.close()


def _open_ecr(host: str) -> EcrRegistry:
    from tasks.stores.registry.ecr import EcrRegistry, make_client  # noqa: PLC0415 - other targets don't wait for the SDK

    return EcrRegistry(make_client(host, os.environ), host)


@contextmanager
def _broken_after(stop: Stop, pool: HttpPool) -> Iterator[None]:
    """Break the connections of a run that was told to stop, when it had time to end its requests in order."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_SECONDS):
            if stop.requested and not done.wait(GRACE_SECONDS):
                pool.break_connections()
                return

    threading.Thread(target=watch, name="stop watch", daemon=True).start()
    try:
        yield
    finally:
        done.set()
