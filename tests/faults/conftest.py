"""What tests of faults share: a toxic wire before a real registry, and stores that go through it or a proxy."""

from collections.abc import Callable, Generator
from dataclasses import replace

import pytest

from infra.real_parts import Registry, ToxicProxy, Toxiproxy
from tasks.stop import Stop
from tasks.stores.pacing import RequestGate
from tasks.stores.registry.credentials import Credentials
from tasks.stores.registry.oras_provider import OrasProvider
from tasks.stores.registry.registry_auth import Authorizer
from tasks.stores.registry.registry_store import RegistryStore
from tasks.stores.registry.request_retry import RequestRetry
from tasks.stores.registry.transport.http_pool import HttpPool, HttpSettings

PATIENCE_SECONDS = 20.0
"""Of a store for a registry that says nothing: a real one pauses, too, where the disk has much to do.

What a test does on purpose is met with a `stall_timeout` of its own.
"""


@pytest.fixture
def wire(toxiproxy: Toxiproxy, docker_registry: Registry) -> ToxicProxy:
    """A proxy of TCP connections before Debian's registry."""
    return toxiproxy.proxy(docker_registry.host)


@pytest.fixture
def make_store() -> Generator[Callable[..., RegistryStore]]:
    """`make_store(host, credentials, stall_timeout=1)`: a store that tries again at once."""
    stores: list[RegistryStore] = []

    def make(
        host: str, credentials: Credentials | None = None, first_wait: float = 0.001, **settings: object
    ) -> RegistryStore:
        stop = Stop()
        gate = RequestGate(stop)
        usual = HttpSettings(plain_http=True, connect_timeout=5.0, stall_timeout=PATIENCE_SECONDS)
        pool = HttpPool(host, replace(usual, **settings), gate)
        provider = OrasProvider(host, pool, Authorizer(pool.origin, lambda: credentials, pool.send))
        stores.append(RegistryStore(provider, pool, RequestRetry(gate, stop, first_wait=first_wait), write=True))
        return stores[-1]

    yield make
    for store in stores:
        store.close()
