"""Fixtures of the stores' tests: scripted registries, and our HTTP to them."""

from collections.abc import Callable, Generator
from functools import partial

import pytest

from tasks.stop import Stop
from tasks.stores.pacing import RequestGate
from tasks.stores.registry.credentials import Credentials
from tasks.stores.registry.oras_provider import OrasProvider
from tasks.stores.registry.registry_auth import Authorizer
from tasks.stores.registry.registry_store import RegistryStore
from tasks.stores.registry.request_retry import RequestRetry
from tasks.stores.registry.transport.http_pool import HttpPool, HttpSettings
from tests.support.scripted_registry import ScriptedRegistry
from tests.support.scripted_s3 import OpenBucket, open_scripted, use_worthless_credentials

FIRST_WAIT = 0.001
"""Seconds of the first wait between attempts: tests try again at once."""


@pytest.fixture
def script() -> Generator[ScriptedRegistry]:
    """A registry whose answers the test writes down; it fails on any request that is not."""
    server = ScriptedRegistry()
    yield server
    server.stop()
    server.check()


@pytest.fixture
def elsewhere() -> Generator[ScriptedRegistry]:
    """A second host, such as a store that a registry redirects to, or a token server."""
    server = ScriptedRegistry()
    yield server
    server.stop()
    server.check()


@pytest.fixture
def make_pool() -> Generator[Callable[..., HttpPool]]:
    """`make_pool(host, stall_timeout=1)`: a pool over plain HTTP, closed at the end."""
    pools: list[HttpPool] = []

    def make(host: str, gate: RequestGate | None = None, **settings: object) -> HttpPool:
        options = {"plain_http": True, "connect_timeout": 5.0, "stall_timeout": 5.0, **settings}
        pools.append(HttpPool(host, HttpSettings(**options), gate or RequestGate(Stop())))
        return pools[-1]

    yield make
    for pool in pools:
        pool.drop_idle()


@pytest.fixture
def make_store(make_pool: Callable[..., HttpPool]) -> Callable[..., RegistryStore]:
    """`make_store(host, credentials)`: a store over a scripted registry."""

    def make(
        host: str, credentials: Credentials | None = None, *, write: bool = True, **settings: object
    ) -> RegistryStore:
        stop = Stop()
        gate = RequestGate(stop)
        pool = make_pool(host, gate, **settings)
        authorizer = Authorizer(pool.origin, lambda: credentials, pool.send)
        provider = OrasProvider(host, pool, authorizer)
        return RegistryStore(provider, pool, RequestRetry(gate, stop, first_wait=FIRST_WAIT), write=write)

    return make


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Credentials that open nothing, and none of the user's own."""
    use_worthless_credentials(monkeypatch)
    return monkeypatch


@pytest.fixture
def bucket(script: ScriptedRegistry, environment: pytest.MonkeyPatch) -> OpenBucket:
    """`bucket("prefix/", request_payer=True)`: our store over the scripted server."""
    return partial(open_scripted, script)
