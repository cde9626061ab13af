"""What a broken connection is called, for whoever has to see what is wrong with an address."""

import errno
import ssl

import pytest

from tasks.oci.errors import UntrustedConnectionError
from tasks.stores.registry.transport.transport_errors import translate

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("https://localhost/v2/", "; 443 was asked, as no port is named"),
        ("http://[::1]/v2/", "; 80 was asked, as no port is named"),
        ("https://localhost:5000/v2/", ""),
    ],
)
def test_the_port_is_said_that_nobody_is_at_where_the_user_named_none(url: str, port: str) -> None:
    hint = f"(nothing listens there: look at host and port, or start the registry{port})"
    said = f"GET {url}: [Errno {errno.ECONNREFUSED}] Connection refused {hint}"
    assert str(translate(REFUSED, "GET", url)) == said


def test_no_port_is_said_where_another_thing_is_wrong() -> None:
    lost = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    assert str(translate(lost, "GET", "https://registry.example/v2/")).endswith("Connection reset by peer")


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("[SSL: SSLV3_ALERT_BAD_CERTIFICATE] sslv3 alert bad certificate", "client.cert and client.key"),
        ("[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] ssl/tls alert certificate expired", "client.cert and client.key"),
        ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca", "client.cert and client.key"),
        ("[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure", "client.cert and client.key"),
        ("[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version", "have it updated"),
        ("[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol", "have it updated"),
    ],
    ids=["bad certificate", "certificate expired", "unknown authority", "handshake", "version", "protocol"],
)
def test_what_a_registry_with_tls_refuses_is_not_mended_by_other_authorities_or_without_tls(
    said: str, hint: str
) -> None:
    """The first is what distribution 2.8 answers to whoever shows no certificate, where it wants one."""
    told = translate(ssl.SSLError(1, f"{said} (_ssl.c:2546)"), "GET", "https://r.example/v2/")
    assert isinstance(told, UntrustedConnectionError)
    assert hint in str(told)
    assert "--" not in str(told)


def test_a_registry_without_tls_is_told_as_openssl_has_it_since_3_2() -> None:
    said = ssl.SSLError(1, "[SSL] record layer failure (_ssl.c:1033)")
    assert "--plain-http" in str(translate(said, "GET", "https://r.example/v2/"))
