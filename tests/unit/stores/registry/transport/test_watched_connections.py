"""A peer is judged by what it moves while we wait for it."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import trustme
from urllib3.util.ssltransport import SSLTransport

from tasks.stores.registry.transport.watched_connections import (
    LEAST_BYTES_A_SECOND,
    OpenConnections,
    ProgressFloor,
    WatchedSocket,
)
from tests.support.layouts import random_bytes


def outlasts(deadline: float, steps: list[tuple[float, int]]) -> bool:
    floor = ProgressFloor(deadline)
    with contextlib.suppress(TimeoutError):
        for seconds, moved in steps:
            floor.note(seconds, moved)
        return True
    return False


@pytest.mark.parametrize(
    ("seconds", "moved", "good"),
    [(1.0, 1, False), (1.0, LEAST_BYTES_A_SECOND, True), (0.001, 1, True), (59.0, 60 * LEAST_BYTES_A_SECOND, True)],
)
def test_a_peer_must_keep_up_with_the_floor(seconds: float, moved: int, good: bool) -> None:
    assert outlasts(60.0, [(seconds, moved)] * 200) is good


def test_time_that_is_ours_does_not_count() -> None:
    assert outlasts(60.0, [(0.0, 1)] * 100_000)


def test_a_good_start_does_not_excuse_a_stall() -> None:
    assert not outlasts(10.0, [(0.1, 10**9)] + [(1.0, 1)] * 30)


@pytest.fixture
def tls() -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    """Both ends of a connection, encrypted; little of what is sent waits in the kernel."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("registry.example").configure_cert(server)
    authority.configure_trust(client)
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(server.wrap_socket, theirs, server_side=True)
        connected = client.wrap_socket(ours, server_hostname="registry.example")
        with connected, accepted.result() as peer:
            yield connected, peer


def test_a_slow_but_honest_line_is_no_stall_over_tls_either(tls: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    """TLS takes a part whole, within one deadline; a part of a blob would need several of them here."""
    connected, peer = tls
    data, arrived, pause = random_bytes(1, 500_000), bytearray(), threading.Event()

    def read_slowly() -> None:
        while len(arrived) < len(data):
            pause.wait(0.05)
            arrived.extend(peer.recv(16_384))

    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(read_slowly)
        WatchedSocket(connected, deadline=0.5).sendall(data)
        read.result()
    assert arrived == data


def test_a_peer_that_takes_nothing_is_given_up_over_tls_too(tls: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    with pytest.raises(TimeoutError):
        WatchedSocket(tls[0], deadline=0.2).sendall(bytes(500_000))


def test_a_connection_that_is_broken_stays_encrypted(tls: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    """Else what another thread sends at that moment would go out for all to read."""
    connected, _ = tls
    connections = OpenConnections(deadline=5.0)
    watched = connections.watch(connected)
    connections.break_all()
    assert connected.version() is not None
    with pytest.raises(OSError):
        watched.sendall(bytes(500_000))


def test_connections_to_a_registry_through_a_proxy_that_are_both_encrypted_can_be_broken() -> None:
    ours, theirs = socket.socketpair()
    transport = SSLTransport.__new__(SSLTransport)  # a handshake is no matter here
    transport.socket = ours
    connections = OpenConnections(deadline=5.0)
    watched = connections.watch(transport)  # type: ignore[arg-type] # it is used as a socket
    connections.break_all()
    assert watched._at_once is not None
    assert theirs.recv(1) == b""
    ours.close()
    theirs.close()
