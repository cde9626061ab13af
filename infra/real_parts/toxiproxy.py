"""Toxiproxy: TCP proxies before real servers, whose connections can be slowed, cut, reset or left hanging."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.real_parts.tools import find_tool
from infra.real_parts.waiting import http_status
from tasks.stores.local_parts.ports import LOOPBACK, free_ports
from tasks.stores.local_parts.server import Server

HTTP_OK = 200


class Toxiproxy(Server):
    """One server; `proxy(upstream)` gives the address of a new proxy before a `host:port`."""

    name = "toxiproxy"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self._port,) = free_ports(1)

    def proxy(self, upstream: str) -> "ToxicProxy":
        """Listen on a free port and pass everything on."""
        (port,) = free_ports(1)
        listen = f"{LOOPBACK}:{port}"
        self.ask("/proxies", {"name": listen, "listen": listen, "upstream": upstream, "enabled": True})
        return ToxicProxy(self, listen)

    def ask(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> None:
        """One request to its API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{LOOPBACK}:{self._port}{path}", data, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10):
            pass

    def _command(self) -> list[str]:
        return [str(find_tool("toxiproxy-server")), "-host", LOOPBACK, "-port", str(self._port)]

    def _is_ready(self) -> bool:
        return http_status(f"http://{LOOPBACK}:{self._port}/version") == HTTP_OK


class ToxicProxy:
    """One proxy: `host` is what clients are given."""

    def __init__(self, server: Toxiproxy, host: str) -> None:
        self.host = host
        self._server = server
        self._count = 0

    def add(self, kind: str, stream: str = "upstream", **attributes: int) -> str:
        """Spoil all connections, open ones too, and return the toxic's name; `upstream` is what clients send."""
        self._count += 1
        name = f"{kind}-{self._count}"
        toxic = {"name": name, "type": kind, "stream": stream, "toxicity": 1.0, "attributes": attributes}
        self._server.ask(f"/proxies/{self.host}/toxics", toxic)
        return name

    def remove(self, name: str) -> None:
        """Let connections be as they are again."""
        self._server.ask(f"/proxies/{self.host}/toxics/{name}", method="DELETE")

    @contextmanager
    def away(self) -> Iterator[None]:
        """Within the block, connections are refused, and those that were open are cut."""
        self._server.ask(f"/proxies/{self.host}", {"enabled": False})
        try:
            yield
        finally:
            self._server.ask(f"/proxies/{self.host}", {"enabled": True})
