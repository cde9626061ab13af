"""The exceptions of ours for what a connection ends in; no secret of a URL gets into their messages."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from tasks.oci.errors import (
    AuthenticationError,
    ConnectionFailedError,
    TransferStalledError,
    UntrustedConnectionError,
)
from tasks.stores.hidden_secrets import redacted, without_secrets

if TYPE_CHECKING:
    from http.client import HTTPException

    from tasks.oci.errors import LayoutliftError

_TLS_REFUSALS = (
    "CERTIFICATE",
    "WRONG_VERSION_NUMBER",
    "UNSUPPORTED_PROTOCOL",
    "HANDSHAKE_FAILURE",
    "ALERT_UNKNOWN_CA",
    "ALERT_PROTOCOL_VERSION",
    "doesn't match",
)
CLIENT_CERTIFICATE = (
    "it wants a client's certificate, or another one: put client.cert and client.key into docker's certs.d"
)
_OTHER_HOST = "its certificate is of another host: correct the address"
_OLD_TLS = "it knows only versions of TLS that are not safe any more: have it updated"
_TLS_HINTS = {
    "alert certificate": CLIENT_CERTIFICATE,
    "alert bad certificate": CLIENT_CERTIFICATE,
    "alert unsupported certificate": CLIENT_CERTIFICATE,
    "alert unknown ca": CLIENT_CERTIFICATE,
    "alert handshake failure": f"{CLIENT_CERTIFICATE}; or its ciphers are not safe any more",
    "PROTOCOL": _OLD_TLS,
    "expired": "renew the certificate, or correct this machine's clock",
    "not yet valid": "correct this machine's clock, or the certificate",
    "not valid for": _OTHER_HOST,
    "doesn't match": _OTHER_HOST,
    "CERTIFICATE": "--ca-file names other authorities",
}
"""What to do, by what OpenSSL says; the first that fits counts. An alert is what the registry says of us."""
_NO_TLS = "a registry without TLS needs --plain-http"
_CONNECTION_HINTS = {
    "Connection refused": "nothing listens there: look at host and port, or start the registry",
    "Name or service not known": "no such host is known: look at its name",
    "No address associated": "no such host is known: look at its name",
    "name resolution": "names can't be looked up for the moment: look at this machine's DNS",
    "No route to host": "look at the address, and at firewalls",
    "Network is unreachable": "look at this machine's network",
    "record layer failure": _NO_TLS,  # what OpenSSL has for WRONG_VERSION_NUMBER since 3.2
}
"""What to look at, by what the system says."""
_NO_TLS_SIGNS = ("wrong version number", "record layer failure")
_PROXY_WITHOUT_TLS = "it has no TLS: have HTTPS_PROXY name it as http://host:port"
_PROXY_REFUSAL = "Tunnel connection failed: 407"
PROXY_REFUSES = "the proxy wants a name and password, or other ones (407); put them into HTTPS_PROXY"


def translate(error: HTTPError | HTTPException | OSError, method: str, url: str) -> LayoutliftError:
    """The exception of ours for what urllib3 or the standard library said."""
    where = f"{method} {redacted(url)}"
    if isinstance(error, SSLError | ssl.SSLError) and any(sign in str(error) for sign in _TLS_REFUSALS):
        hint = next((hint for sign, hint in _TLS_HINTS.items() if sign in str(error)), _NO_TLS)
        return UntrustedConnectionError(f"{where}: TLS failed: {_cause(error)} ({hint})")
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return ConnectionFailedError(f"{where}: no connection in time (look at the address, and at firewalls)")
    if isinstance(error, ReadTimeoutError) or isinstance(_root(error), TimeoutError):
        return TransferStalledError(f"{where}: the registry went silent")
    if _PROXY_REFUSAL in _cause(error):
        return AuthenticationError(f"{where}: {PROXY_REFUSES}", status=407)
    if isinstance(error, ProxyError):
        hint = next((f" ({_PROXY_WITHOUT_TLS})" for sign in _NO_TLS_SIGNS if sign in _cause(error)), "")
        return ConnectionFailedError(f"{where} through the proxy: {_cause(error)}{hint}")
    return ConnectionFailedError(f"{where}: {_cause(error)}{_what_to_look_at(error, url)}")


def _what_to_look_at(error: BaseException, url: str) -> str:
    hint = next((hint for sign, hint in _CONNECTION_HINTS.items() if sign in _cause(error)), None)
    parts = urlsplit(url)
    port = ""
    if isinstance(_root(error), ConnectionRefusedError) and not parts.port:
        port = f"; {443 if parts.scheme == 'https' else 80} was asked, as no port is named"
    return f" ({hint}{port})" if hint else ""


def _root(error: BaseException) -> BaseException:
    inner: BaseException = error
    while inner.__cause__ is not None or isinstance(inner.__context__, OSError):
        inner = inner.__cause__ or inner.__context__ or inner
    return inner


def _cause(error: BaseException) -> str:
    inner = _root(error)
    return without_secrets(" ".join(str(inner or type(inner).__name__).split()))[:200]
