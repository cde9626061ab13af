"""Which proxy leads to a URL, as `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.

The variables are read as Python's own library and curl read them, in either case of letters; addresses of this
machine are always reached directly, as Go's programs (docker, skopeo, the ORAS command) do it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = {"http": 80, "https": 443}
_WITH_PORT = re.compile(r"(\[.+\]|[^:]*):([0-9]+)")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's address without credentials, and what they make of them: headers for the proxy alone."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)


def proxy_for(url: str, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy for requests to `url`, None where it is reached directly.

    Raises:
        ConfigurationError: the variable names something that is no HTTP proxy; the message tells no secret.
    """
    parts = urlsplit(url)
    name, given = _variable(f"{parts.scheme}_proxy", environment)
    if not given:
        name, given = _variable("all_proxy", environment)
    host, exceptions = parts.hostname or "", _variable("no_proxy", environment)[1]
    if not given or is_this_machine(host) or _is_excepted(host, _port_of(parts), exceptions):
        return None
    return _parse(name, given)


def _variable(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Name and value; a CGI script's `HTTP_PROXY` is its client's header, not its user's wish (CVE-2016-1000110)."""
    if name in environment:
        return name, environment[name].strip()
    upper = name.upper()
    if upper == "HTTP_PROXY" and "REQUEST_METHOD" in environment:
        return upper, ""
    return upper, environment.get(upper, "").strip()


def _parse(name: str, given: str) -> Proxy:
    try:
        parts = urlsplit(given if "://" in given else f"http://{given}")
        usual = _PORTS[parts.scheme]
        host, port = parts.hostname, parts.port or usual
    except (ValueError, KeyError):
        parts, host, port = urlsplit(""), None, 0
    if not host:
        message = f"{name} must be http://host:port or https://host:port; other proxies are not used"
        raise ConfigurationError(message)
    headers: Mapping[str, str] = {}
    if parts.username is not None:
        pair = b":".join(unquote_to_bytes(os.fsencode(part)) for part in (parts.username, parts.password or ""))
        headers = {"proxy-authorization": f"Basic {b64encode(pair).decode()}"}
    shown = f"[{host}]" if ":" in host else host
    return Proxy(f"{parts.scheme}://{shown}:{port}", headers)


def _port_of(parts: SplitResult) -> int | None:
    """The port that is asked, None where it is none: what was redirected to may have any number."""
    try:
        return parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine by its very name: loopback."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _is_excepted(host: str, port: int | None, exceptions: str) -> bool:
    """Whether `NO_PROXY` names the host: by itself or its domain, with a port, as an address or network."""
    address = _address(host)
    for each in exceptions.replace(",", " ").lower().split():
        if each == "*":
            return True
        named = _WITH_PORT.fullmatch(each)
        name, its_port = named.groups() if named else (each, str(port))
        if its_port != str(port):
            continue
        if address is not None and _holds(name, address):
            return True
        domain = name.removeprefix("*").removeprefix(".")
        if domain and (host == domain or host.endswith(f".{domain}")):
            return True
    return False


def _holds(network: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(network.strip("[]"), strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
