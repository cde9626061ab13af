"""HTTP to one registry: pooled connections, deadlines, capped answers, our own exceptions.

Requests to the registry itself go straight over connections of urllib3's making, see `direct_requests`; those through
a proxy, or to hosts that it redirects to, go through urllib3. All exceptions of either end here.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError

from tasks.oci.errors import (
    AuthenticationError,
    TransportError,
    UnexpectedAnswerError,
    UntrustedConnectionError,
)
from tasks.stores.hidden_secrets import redacted
from tasks.stores.registry.transport.direct_requests import DirectRequests
from tasks.stores.registry.transport.http_answers import (
    MAX_ANSWER_SIZE,
    HttpAnswer,
    StreamedAnswer,
    address_in,
    read_capped,
)
from tasks.stores.registry.transport.proxies import Proxy, proxy_for
from tasks.stores.registry.transport.target_warnings import TargetWarnings
from tasks.stores.registry.transport.tls_certificates import tls_context
from tasks.stores.registry.transport.transport_errors import PROXY_REFUSES, translate
from tasks.stores.registry.transport.watched_connections import OpenConnections
from tasks.stores.shown_requests import ShownRequest

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    from urllib3.connection import HTTPConnection

    from tasks.stores.pacing import RequestGate
    from tasks.stores.registry.transport.http_answers import Response
    from tasks.stores.registry.transport.request_writing import Body

MAX_REDIRECTS = 5
MOST_PASSED_OVER = 256 * 1024
"""Bytes of a redirect's own body that are read; a longer one may have no end."""
FOLLOWED = frozenset({"GET", "HEAD"})
"""What may be asked of another place than the one named; nothing is ever written there."""
_PROXY_REFUSED = 407
_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How to reach a registry; times in seconds. `stall_timeout` bounds silence, not the whole transfer.

    `environment` holds the variables that name proxies, and the home with certificates.
    """

    plain_http: bool = False
    ca_file: str | None = None
    connections: int = 8
    connect_timeout: float = 15.0
    stall_timeout: float = 60.0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class HttpPool:
    """Connections to one host, and to those that it redirects to."""

    def __init__(self, host: str, settings: HttpSettings, gate: RequestGate) -> None:
        self.origin = f"{'http' if settings.plain_http else 'https'}://{host}"
        self._gate = gate
        self._counting = threading.Lock()
        self._settings = settings
        may_wait = settings.plain_http and settings.ca_file is None
        self._host = host
        self._tls = None if may_wait else self._make_tls()
        self._user_agent = {"User-Agent": f"layoutlift/{version('layoutlift')}"}
        self._connections = OpenConnections(settings.stall_timeout)
        self._managers: dict[Proxy | None, urllib3.PoolManager] = {}
        proxied = proxy_for(self.origin, settings.environment) is not None
        self._home = None if proxied else DirectRequests(self._connector())
        self.requests_made = 0
        self.rate_limit: str | None = None
        self._warnings = TargetWarnings()

    def drop_idle(self) -> None:
        """Close all connections that are not in use."""
        if self._home is not None:
            self._home.drop_idle()
        with self._counting:
            managers = list(self._managers.values())
        for manager in managers:
            manager.clear()

    def break_connections(self) -> None:
        """End every request that is under way, and any that is still begun."""
        self._connections.break_all()

    def after_pauses(self, look: Callable[[], bool]) -> bool:
        """What `look` says when the registry lets requests through: anew where a pause began meanwhile."""
        while True:
            self._gate.wait_open()
            seen = look()
            if self._gate.is_open:
                return seen

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body = None,
        most: int = MAX_ANSWER_SIZE,
        *,
        follow: bool = True,
    ) -> HttpAnswer:
        """Send a request and read its whole answer, of `most` bytes at most.

        `url` may be a path on the pool's own host. Redirects of GET and HEAD are followed, without credentials
        where they lead to another host; without `follow` they are the answer.

        Raises:
            TransportError: no usable answer arrived.
            UnexpectedAnswerError: the answer is larger than any registry's should be.
        """
        with self.open(method, url, headers, body, follow=follow) as answer:
            return HttpAnswer(answer.status, answer.headers, read_capped(answer, most), answer.url)

    @contextmanager
    def open(
        self, method: str, url: str, headers: Mapping[str, str], body: Body = None, *, follow: bool = True
    ) -> Iterator[StreamedAnswer]:
        """Send a request and hand out its answer unread; the rest is as in `send`."""
        followed = FOLLOWED if follow else frozenset[str]()
        response, final_url = self._follow(method, self._absolute(url), headers, body, followed)
        answer = StreamedAnswer(response, final_url)
        try:
            yield answer
        finally:
            if not answer.finished:
                response.close()  # its connection is in the middle of a body
            response.release_conn()

    def _absolute(self, url: str) -> str:
        """The whole URL; most are a path on the pool's own host, and joining those costs more than it should."""
        return (
            self.origin + url if url.startswith("/") and not url.startswith("//") else urljoin(f"{self.origin}/", url)
        )

    def _follow(
        self, method: str, url: str, headers: Mapping[str, str], body: Body, followed: frozenset[str]
    ) -> tuple[Response, str]:
        for _ in range(MAX_REDIRECTS + 1):
            response = self._request(method, url, headers, body)
            location = response.headers.get("Location")
            if method not in followed or response.status not in {301, 302, 303, 307, 308} or not location:
                return response, url
            _let_go(response, url)
            url, headers = self.next_hop(url, location, headers)
        raise UnexpectedAnswerError(f"{redacted(url)}: more than {MAX_REDIRECTS} redirects")

    def _request(self, method: str, url: str, headers: Mapping[str, str], body: Body) -> Response:
        self._gate.enter()
        with self._counting:
            self.requests_made += 1
        with ShownRequest(method, url) as shown:
            response = self._exchange(method, url, {**self._user_agent, **headers}, body)
            shown.status = response.status
        if response.status == _PROXY_REFUSED:
            raise AuthenticationError(f"{method} {redacted(url)}: {PROXY_REFUSES}", status=response.status)
        if (left := response.headers.get("ratelimit-remaining")) is not None:
            self.rate_limit = f"{left[:40]} left of {response.headers.get('ratelimit-limit', '?')[:40]}"
        if (warning := response.headers.get("warning")) is not None and self.is_own(url):
            self._warnings.tell(warning)
        return response

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: Body) -> Response:
        try:
            if self._home is not None and self._is_home(url):
                return self._home.send(method, url[len(self.origin) :], headers, body)
            manager: Any = self._manager_for(url)
            response: urllib3.BaseHTTPResponse = manager.urlopen(
                method,
                url,
                body=body,
                headers=headers,
                redirect=False,
                preload_content=False,
                decode_content=False,  # stores name an encoding for layers that are compressed in themselves
            )
        except (HTTPError, HTTPException, OSError) as error:
            raise translate(error, method, url) from None  # which names whole addresses, and Prefect keeps tracebacks
        return response

    def is_own(self, url: str) -> bool:
        """Whether a whole URL is at the registry itself, not where it leads to."""
        return self._is_home(url) or _place(urlsplit(url)) == _place(urlsplit(self.origin))

    def _is_home(self, url: str) -> bool:
        return url.startswith(f"{self.origin}/")

    def _connector(self) -> Callable[[], HTTPConnection]:
        """What makes a connection to the registry."""
        home = urlsplit(self.origin)
        kind = self._connections.connection_classes()[home.scheme]
        secure = {"ssl_context": self._tls} if home.scheme == "https" else {}
        port = home.port or _USUAL_PORTS[home.scheme]  # without one, the end of an IPv6 address would be taken for it
        return partial(kind, home.hostname, port, timeout=self._settings.connect_timeout, **secure)

    def _manager_for(self, url: str) -> urllib3.PoolManager:
        """The connections that lead to `url`, directly or through a proxy; one manager serves all such URLs."""
        proxy = proxy_for(url, self._settings.environment)
        with self._counting:
            if proxy not in self._managers:
                self._managers[proxy] = self._make_manager(proxy)
            return self._managers[proxy]

    def _make_tls(self) -> ssl.SSLContext:
        return tls_context(self._host, self._settings.ca_file, self._settings.environment)

    def _make_manager(self, proxy: Proxy | None) -> urllib3.PoolManager:
        settings = self._settings
        tls = self._tls or self._make_tls()
        shared: dict[str, Any] = {
            "maxsize": settings.connections,
            "timeout": urllib3.Timeout(connect=settings.connect_timeout, read=settings.stall_timeout),
            "retries": False,
            "ssl_context": tls,
        }
        if proxy is None:
            manager = urllib3.PoolManager(**shared)
        else:
            manager = urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers, proxy_ssl_context=tls, **shared)
        manager.pool_classes_by_scheme = self._connections.pool_classes()
        return manager

    def next_hop(self, url: str, location: str, headers: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
        """Where a `Location` leads from `url`, and the headers that may travel there.

        A plain `http` on the same host is what a proxy that ends TLS makes of it, and read as `https`.

        Raises:
            UntrustedConnectionError: it leads from https to http on another host, or to no web address.
        """
        location = address_in(location)
        if self._is_home(url) and self._is_home(location):
            return location, headers  # nearly all, and taking URLs apart is dear
        before = urlsplit(url)
        try:
            after = urlsplit(urljoin(url, location))
            _place(after)
        except ValueError as error:
            raise UntrustedConnectionError(f"{redacted(url)} leads to what is no web address") from error
        if after.hostname == before.hostname and before.scheme == "https" and after.scheme == "http":
            after = after._replace(scheme="https", netloc=before.netloc)
        if after.scheme not in {"http", "https"} or (before.scheme, after.scheme) == ("https", "http"):
            raise UntrustedConnectionError(f"{redacted(url)} leads to {redacted(location)}, which is not safe")
        if _place(before) != _place(after):
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        return urlunsplit(after), headers


def _let_go(response: Response, url: str) -> None:
    """Read what a redirect says besides, so that its connection can be used again; too much costs the connection."""
    answer = StreamedAnswer(response, url)
    with suppress(TransportError):
        answer.skip(MOST_PASSED_OVER)
    if not answer.finished:
        response.close()
    response.release_conn()


def _place(parts: SplitResult) -> tuple[str | None, int | None]:
    """Host and port, the usual port of the scheme counted as none."""
    return parts.hostname, None if parts.port == _USUAL_PORTS.get(parts.scheme, 80) else parts.port
